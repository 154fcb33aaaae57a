"""`python -m kaggle_speech`."""

from kaggle_speech.cli.main import main

raise SystemExit(main())
