"""``python -m lord`` is the ``lord`` command."""

from lord.cli.main import main

main()
