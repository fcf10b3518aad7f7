"copl: unsupervised temporal action localization; everything else is in the modules."
__version__ = "0.3.0"

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
