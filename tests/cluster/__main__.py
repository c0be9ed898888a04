"""`python tests/cluster --help`."""

from throwaway.commands import main

if __name__ == "__main__":
    main()
