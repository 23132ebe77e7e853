"""``python -m restorebox COMMAND ...``, the same as the console script."""

from restorebox.cli.main import main

if __name__ == '__main__':
    main()
