"Docments: the comments next to parameters, appended to docstrings for `help` and notebooks."
import ast
import functools
import inspect
import io
import re
import textwrap
import tokenize

LINTER = re.compile(r'noqa: \w+ \([^)]*\); ') # what is meant for the linter alone


def told(thing):
    "A function, or a class and its methods, with their docments in the docstrings."
    own = [base for base in getattr(thing, '__mro__', ()) if base.__module__.startswith('copl.')]
    for cls in own:
        members = [getattr(member, '__func__', member) for member in vars(cls).values()]
        for function in filter(inspect.isfunction, members): _tell(function)
        _tell(cls)
    if inspect.isfunction(thing): _tell(thing)
    return thing


@functools.cache
def _tell(thing):
    "Append the docments to the docstring, once."
    said = inspect.cleandoc(thing.__doc__ or '')
    if not said and thing.__name__ != '__init__': return
    try: sections = _fields(thing) if inspect.isclass(thing) else _calls(*_parsed(thing))
    except OSError: return                              # made by `dataclass`, without a source
    told = ['\n'.join([title, '-'*len(title), *rows]) for title, rows in sections.items() if rows]
    if told: thing.__doc__ = '\n\n'.join(filter(None, [said, *told]))


def _parsed(thing):
    "(syntax tree, line: comment) of a function or class."
    source = textwrap.dedent(inspect.getsource(inspect.unwrap(thing)))
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = (t for t in tokens if t.type == tokenize.COMMENT)
    beside = {t.start[0]: LINTER.sub('', t.string.lstrip('# ')) for t in comments}
    return ast.parse(source).body[0], beside


def _calls(node, beside):
    "{section: rows} of a function."
    a = node.args
    given = [*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg))]
    rows = [_row(p.arg, p.annotation, beside.get(p.lineno)) for p in given
            if p.arg not in ('self', 'cls')]
    back = node.returns
    return {'Parameters': rows,
            'Returns': [_row('', back, beside.get(back.end_lineno))] if back else []}


def _fields(cls):
    "{section: rows} of a class: the fields of a dataclass or a named tuple, inherited ones first."
    rows = []
    for base in reversed(cls.__mro__):
        if not base.__module__.startswith('copl.'): continue
        node, beside = _parsed(base)
        fields = [s for s in node.body if isinstance(s, ast.AnnAssign)]
        rows += [_row(s.target.id, s.annotation, beside.get(s.lineno)) for s in fields]
    return {'Attributes': rows}


def _row(name, annotation, comment):
    kind = '' if annotation is None else ast.unparse(annotation)
    first = ' : '.join(filter(None, [name, kind]))
    return f'{first}\n    {comment}' if comment else first
