"What stands beside a parameter in the source (a docment), where `help` and notebooks look for it."
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
    if inspect.isclass(thing):
        for base in thing.__mro__:
            if base.__module__.startswith('copl.'): _tell_class(base)
    elif inspect.isfunction(thing): _tell(thing)
    return thing


def _tell_class(cls):
    _tell(cls)
    for member in vars(cls).values():
        function = getattr(member, '__func__', member)       # of a class method
        if inspect.isfunction(function): _tell(function)


@functools.cache
def _tell(thing):
    "Put them there, once."
    said = inspect.cleandoc(thing.__doc__ or '')
    if not said and thing.__name__ != '__init__': return
    sections = _fields(thing) if inspect.isclass(thing) else _calls(*_parsed(thing))
    told = ['\n'.join([title, '-'*len(title), *rows]) for title, rows in sections.items() if rows]
    if told: thing.__doc__ = '\n\n'.join(filter(None, [said, *told]))


def _parsed(thing):
    "(syntax tree, line: comment) of a function or class; (None, {}) where there is no source."
    try: source = textwrap.dedent(inspect.getsource(inspect.unwrap(thing)))
    except OSError: return None, {}
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = (t for t in tokens if t.type == tokenize.COMMENT)
    beside = {t.start[0]: LINTER.sub('', t.string.lstrip('# ')) for t in comments}
    return ast.parse(source).body[0], beside


def _calls(node, beside):
    "{section: rows} of a function."
    if node is None: return {}
    a = node.args
    stars = [p for p in (a.vararg, a.kwarg) if p is not None]
    given = [p for p in (*a.posonlyargs, *a.args, *a.kwonlyargs, *stars)
             if p.arg not in ('self', 'cls')]
    rows = [_row(p.arg, p.annotation, beside.get(p.lineno)) for p in given]
    back = node.returns
    returned = [] if back is None else [_row('', back, beside.get(back.end_lineno))]
    return {'Parameters': rows, 'Returns': returned}


def _fields(cls):
    "{section: rows} of a class: the fields of a dataclass or a named tuple, inherited ones first."
    rows = []
    for base in reversed(cls.__mro__):
        if not base.__module__.startswith('copl.'): continue
        node, beside = _parsed(base)
        fields = [s for s in getattr(node, 'body', []) if isinstance(s, ast.AnnAssign)]
        rows += [_row(s.target.id, s.annotation, beside.get(s.lineno)) for s in fields]
    return {'Attributes': rows}


def _row(name, annotation, comment):
    kind = '' if annotation is None else ast.unparse(annotation)
    first = ' : '.join(filter(None, [name, kind]))
    return f'{first}\n    {comment}' if comment else first
