"`python -m copl` is the command `copl`."
import sys

from copl.cli import main

if __name__ == '__main__': sys.exit(main())
