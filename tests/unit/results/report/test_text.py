"""Text of strangers as the page shows it."""

from __future__ import annotations

from results.report.text import for_plot, shortened, visible


def test_what_steers_is_shown_as_its_escape() -> None:
    assert visible("a\x00b\x1b[31m\n") == "a\\x00b\\x1b[31m\\x0a"
    assert visible("abc\u202edcba") == "abc\\u202edcba"


def test_letters_of_any_language_stay() -> None:
    assert visible("GET /größe/عربي/日本") == "GET /größe/عربي/日本"


def test_a_long_name_keeps_both_ends() -> None:
    name = "GET /" + "x" * 10_000 + "/end"
    cut = shortened(name)
    assert len(cut) == 120
    assert cut.startswith("GET /xxx")
    assert cut.endswith("xxx/end")
    assert shortened("GET /short") == "GET /short"


def test_a_label_of_the_plot_has_no_tags_and_no_entities_of_its_own() -> None:
    assert for_plot("<b>fat</b> &lt;") == "&lt;b&gt;fat&lt;/b&gt; &amp;lt;"
    assert for_plot('<a href="javascript:x">', 80).count("<") == 0
    assert for_plot("$x$") == "&#36;x&#36;"
    assert len(for_plot("y" * 500, 24)) == 24
