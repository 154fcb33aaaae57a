"""`python -m kaggle_speech`."""

from kaggle_speech.cli.parser import main

raise SystemExit(main())
