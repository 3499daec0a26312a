"""Chinese has no spaces between words: the end of a line between two of its characters is none."""

import re

from docutils import nodes

_BREAK = re.compile(r"(?<=[\u3000-\u9fff\uff00-\uffef“”])\n(?=[\u3000-\u9fff\uff00-\uffef“”])")


def join_lines(app, doctree):
    """Take these ends of lines out of what is no code."""
    for element in doctree.findall(nodes.TextElement):
        if isinstance(element, nodes.FixedTextElement | nodes.literal):
            continue
        children = []
        for child in element.children:  # a line's end in Markdown is a text of its own
            if isinstance(child, nodes.Text) and children and isinstance(children[-1], nodes.Text):
                children[-1] = nodes.Text(children[-1] + child)
            else:
                children.append(child)
        element.children = []
        element += [nodes.Text(_BREAK.sub("", c)) if isinstance(c, nodes.Text) else c for c in children]


def setup(app):
    app.connect("doctree-read", join_lines)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
