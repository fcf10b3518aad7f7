"copl: unsupervised temporal action localization; everything else is in the modules."
__version__ = "0.3.0"

import lazy_loader

_loaded, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

def __getattr__(name):
    "Load a public name of `__init__.pyi` at its first use; `help` shows its docments."
    from copl._docments import told
    return told(_loaded(name))
