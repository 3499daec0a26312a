"""Links of the pages to files of the project that are no pages lead to its repository."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[1].resolve()
LINK = re.compile(r"\]\((?!\w+:|#)([^)\s#]+)(#[^)\s]*)?\)")


def rewrite(app, page, text):
    """Turn the relative links of a Markdown page to files outside of the pages into addresses."""
    file = Path(app.env.doc2path(page))
    if file.suffix != ".md":
        return

    def address(match):
        target = (file.parent / match[1]).resolve()
        if target == DOCS.parent / "README.md":
            return f"]({'../' * page.count('/')}index.md)"
        if target.is_relative_to(DOCS) or not target.is_relative_to(DOCS.parent):
            return match[0]
        return f"]({app.config.repository}/blob/main/{target.relative_to(DOCS.parent)}{match[2] or ''})"

    text[0] = LINK.sub(address, text[0])


def setup(app):
    app.add_config_value("repository", "", "env", str)
    app.connect("source-read", rewrite)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
