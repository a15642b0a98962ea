"""``python -m valorem``: the command line."""

from valorem.app import main

if __name__ == "__main__":
    main()
