"""Web: the recogniser as a page for any browser, as a folder for a static server or in a notebook.

The page is in `static/`: HTML, CSS and JavaScript, without a framework or a build.
"""

from kaggle_speech.lazy import lazy_names, with_names

_NAMES = {
    "folder": "write_page",
    "notebook": "page, NotebookPage",
    "settings": "page_settings",
    "server": "PageServer",
    "runtime": "runtime_files",
}

__doc__ = with_names(__doc__, _NAMES)
__getattr__, __dir__ = lazy_names(__name__, _NAMES)
