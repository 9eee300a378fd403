# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: flamegraph_page.py figures|change|hostile PAGE JSON…

Opens a flame graph that memwatch wrote, from file://, in a real Chromium, uses it as a person would, and compares
what it says with the same file's JSON."""
import json
import os
import sys

from browser import browser

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def size(count):
    unit = 0
    while unit < len(UNITS) - 1 and count >= 1023.5:
        count /= 1024
        unit += 1
    return f"{count:.1f} {UNITS[unit]}" if unit and count < 99.95 else f"{round(count)} {UNITS[unit]}"


def equal(expected, actual, what):
    assert expected == actual, f"{what}: expected {expected!r}, got {actual!r}"


def name(frame):
    place = f"{frame['module']}+{frame['offset']:#x}" if "module" in frame and "offset" in frame else "[unknown]"
    return frame.get("function", place)


def label(frame):
    file = os.path.basename(frame.get("file", ""))
    return "  ".join(filter(None, (name(frame), f"{file}:{frame['line']}" if file and "line" in frame else file)))


def calls(snapshot, key):
    """{path of labels: value}, of every call that has any."""
    comms = {process["pid"]: process["comm"] for process in snapshot["processes"]}
    sums = {}
    for site in snapshot["sites"]:
        path = ("all", f"{comms[site['pid']]}[{site['pid']}]") + tuple(label(f) for f in reversed(site["stack"]))
        for depth in range(1, len(path) + 1):
            sums[path[:depth]] = sums.get(path[:depth], 0) + site[key]
    return {path: value for path, value in sums.items() if value}


def total(snapshot, function, key):
    return sum(site[key] for site in snapshot["sites"] if any(name(f) == function for f in site["stack"]))


class Page:
    def __init__(self, chromium, path):
        self.browser = chromium
        chromium.open("file://" + path)
        chromium.wait("return document.querySelector('g.frame')")

    def text(self, css):
        return self.browser.run("return document.querySelector(arguments[0]).textContent", css)

    def wait_text(self, css, text):
        self.browser.wait("return document.querySelector(arguments[0]).textContent === arguments[1]", css, text)

    def is_shown(self, css):
        return self.browser.run("return !document.querySelector(arguments[0]).hidden", css)

    def frames(self):
        """What the frames that have a width are called, and what the pointer is told of them."""
        return self.browser.run("""return [...document.querySelectorAll('g.frame')]
            .filter(g => Number(g.getAttribute('width')) > 0)
            .map(g => [g.getAttribute('name'), g.querySelector('title').textContent])""")

    def frame(self, start):
        return self.browser.find(f'g.frame[name^="{start}"]')

    def colour(self, start):
        return self.browser.run("return getComputedStyle(document.querySelector(arguments[0])).fill",
                                f'g.frame[name^="{start}"] rect')

    def press(self, text):
        self.browser.click(self.browser.run(
            "return [...document.querySelectorAll('button')].find(b => b.textContent === arguments[0])", text))
        equal("true", self.browser.run("""return [...document.querySelectorAll('button')]
            .find(b => b.textContent === arguments[0]).getAttribute('aria-pressed')""", text), f"{text} is pressed")

    def search(self, text):
        self.browser.run("document.querySelector('#search').value = ''")
        self.browser.type(self.browser.find("#search"), text)

    def escape(self):
        self.browser.type(self.browser.find("body"), "\ue00c")

    def is_quiet(self):
        """No error, nothing that the page's policy had to stop."""
        equal([], self.browser.log(), "the console")


def live_text(bytes_, count, whole):
    blocks = "block" if count == 1 else "blocks"
    return f"{size(bytes_)} ({bytes_} bytes) in {count} {blocks}, {100 * bytes_ / whole:.1f} % of all"


def check_frames(page, snapshot, key, metric):
    sums = calls(snapshot, key)
    whole = sums[("all",)]
    said = sorted([path[-1], f"{path[-1]}\n{metric}: {size(value)}, {100 * value / whole:.1f} %"]
                  for path, value in sums.items())
    equal(said, sorted(page.frames()), f"frames by {metric}")


def check_click(page, snapshot, function):
    site = next(s for s in snapshot["sites"] if name(s["stack"][0]) == function)
    leaf = site["stack"][0]
    page.browser.click(page.frame(function + " "))
    equal(function, page.text("#details b"), "the function that was clicked")
    equal(f"{leaf['file']}:{leaf['line']}", page.text("#details .place"), "its place")
    equal(leaf["module"], page.text("#details .module"), "its module")
    equal(live_text(total(snapshot, function, "live_bytes"), total(snapshot, function, "live_count"),
                    snapshot["totals"]["live_bytes"]), page.text("#details .live"), "its figures")
    path = [label(frame) for frame in reversed(site["stack"])]
    page.browser.wait("""return [...document.querySelectorAll('g.frame')]
        .filter(g => Number(g.getAttribute('width')) > 0).length === arguments[0]""", len(path) + 2)
    equal(path, [said for said, _ in page.frames()][2:], "what is left when zoomed")
    assert page.is_shown("#whole")
    equal(function, page.text("#details b"), "what is under the pointer still")


def check_search(page, snapshot, text, function):
    found = total(snapshot, function, "live_bytes")
    share = 100 * found / snapshot["totals"]["live_bytes"]
    page.search(text)
    page.wait_text("#found", f"1 found: {size(found)}, {share:.1f} %")
    equal("rgb(255, 225, 77)", page.colour(function + " "), "the colour of what was found")
    page.search("no such thing")
    page.wait_text("#found", "0 found: 0 B, 0.0 %")


def figures(chromium, path, snapshot):
    page = Page(chromium, path)
    totals = snapshot["totals"]
    equal(live_text(totals["live_bytes"], totals["live_count"], totals["live_bytes"]), page.text("#details .live"),
          "the whole")
    check_frames(page, snapshot, "live_bytes", "live bytes")
    check_search(page, snapshot, "SMAL", "small")
    check_click(page, snapshot, "large")
    page.escape()
    page.browser.wait("return document.querySelector('#whole').hidden")
    page.press("allocated bytes")
    check_frames(page, snapshot, "alloc_bytes", "allocated bytes")
    page.press("peak bytes")
    check_frames(page, snapshot, "peak_bytes", "peak bytes")
    assert page.text("#notes").startswith("Peaks are the sums")
    # The pointer shows, and leaves what was chosen.
    page.browser.point(page.frame("spike "))
    page.wait_text("#details b", "spike")
    page.browser.point(page.browser.find("#title"))
    page.wait_text("#details b", "all")
    page.is_quiet()


def signed(value, text):
    return ("−" if value < 0 else "+" if value > 0 else "±") + text(abs(value))


def change_text(old, new, key="live"):
    """OLD and NEW are {key_bytes, key_count}."""
    was, is_ = old[key + "_bytes"], new[key + "_bytes"]
    count = new[key + "_count"] - old[key + "_count"]
    return (f"{signed(is_ - was, size)} ({signed(is_ - was, str)} bytes) in {signed(count, str)} blocks: "
            f"{size(was)} → {size(is_)}")


def reds_and_blues(colour):
    red, _, blue = (int(part) for part in colour.removeprefix("rgb(").rstrip(")").split(","))
    return red - blue


def change(chromium, path, new, old):
    """Two programs that have nothing in common: all of one is new, all of the other gone."""
    page = Page(chromium, path)
    equal(change_text(old["totals"], new["totals"]), page.text("#details .live"), "the whole")
    equal(change_text(old["totals"], new["totals"], "alloc"), page.text("#details .allocated"), "all of it")
    grew, shrank = new["totals"]["live_bytes"], old["totals"]["live_bytes"]
    grown = "+" + size(grew) + "  " + new["processes"][0]["comm"]
    gone = "−" + size(shrank) + "  " + old["processes"][0]["comm"]
    assert reds_and_blues(page.colour(grown)) > 100, "what grew is red"
    assert reds_and_blues(page.colour(gone)) < -100, "what shrank is blue"
    large = {key: total(new, "large", key) for key in ("live_bytes", "live_count")}
    page.browser.click(page.frame(f"+{size(large['live_bytes'])}  large"))
    equal(change_text({"live_bytes": 0, "live_count": 0}, large), page.text("#details .live"), "what is new")
    page.escape()
    page.press("older")
    assert not any(said.startswith("+") and "large" in said for said, _ in page.frames()), "it was not there"
    page.press("newer")
    assert any("large" in said for said, _ in page.frames())
    assert not any(said == gone for said, _ in page.frames()), "what is gone has no width"
    page.is_quiet()


def shown(text):
    return text.replace("\u202e", "\\u{202e}")


def hostile(chromium, path, snapshot):
    page = Page(chromium, path)
    process, leaf = snapshot["processes"][0], snapshot["sites"][0]["stack"][0]
    assert all("<b>\u202e<script>" in text for text in (process["comm"], leaf["module"]))
    equal(shown(f"{process['comm']}[{process['pid']}]"), page.frames()[1][0], "the process")
    page.browser.click(page.frame("large "))
    equal(shown(leaf["module"]), page.text("#details .module"), "the module")
    title = shown(os.path.basename(path).replace(".html", ".pb.gz"))
    equal(title, page.text("#title"), "the title")
    equal(f"{title} – memwatch", page.browser.run("return document.title"), "the window's title")
    equal(3, page.browser.run("return document.querySelectorAll('script, img, b').length"),
          "elements: the page's two scripts, and the name in the details")
    page.is_quiet()


def main(scenario, path, *snapshots):
    read = []
    for snapshot in snapshots:
        with open(snapshot, encoding="utf-8") as text:
            read.append(json.load(text))
    with browser() as chromium:
        try:
            globals()[scenario](chromium, path, *read)
        finally:
            if "SCREENSHOT" in os.environ:
                chromium.screenshot(os.environ["SCREENSHOT"])


main(*sys.argv[1:])
