# SPDX-License-Identifier: GPL-2.0-or-later
"""A real Chromium without a window, driven by the WebDriver protocol: for tests of what memwatch writes as HTML."""
import base64
import contextlib
import json
import subprocess
import tempfile
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # how the protocol names a reference to an element
FLAGS = """--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --disable-dev-shm-usage
    --force-prefers-reduced-motion --window-size=1400,900""".split() + ["--host-resolver-rules=MAP * ~NOTFOUND"]
SCRIPT_MS = 60000


class Browser:
    def __init__(self, url):
        self.url = url
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # none stands before loopback

    def ask(self, method, path, body=None):
        data = json.dumps(body or {}).encode() if method == "POST" else None
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with self.opener.open(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None

    def open(self, url):
        self.ask("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        """What the body of a function returns in the page."""
        return self.ask("POST", "/execute/sync", {"script": script, "args": arguments})

    def wait(self, script, *arguments):
        """Until it returns something true: what that is. Not within SCRIPT_MS: the driver's error."""
        return self.ask("POST", "/execute/async", {
            "script": f"""const done = arguments[arguments.length - 1];
                const holds = () => {{ {script} }};
                const look = () => {{ const value = holds(); value ? done(value) : setTimeout(look, 20); }};
                look();""",
            "args": arguments})

    def find(self, css):
        return self.ask("POST", "/element", {"using": "css selector", "value": css})

    def click(self, element):
        self.ask("POST", f"/element/{element[ELEMENT]}/click")

    def type(self, element, text):
        self.ask("POST", f"/element/{element[ELEMENT]}/value", {"text": text})

    def point(self, element):
        """Moves the pointer over it."""
        self.ask("POST", "/actions", {"actions": [{
            "type": "pointer", "id": "mouse",
            "actions": [{"type": "pointerMove", "duration": 0, "origin": element, "x": 0, "y": 0}]}]})

    def screenshot(self, path):
        with open(path, "wb") as out:
            out.write(base64.b64decode(self.ask("GET", "/screenshot")))

    def log(self):
        """What the page said on its console, errors among it."""
        return self.ask("POST", "/se/log", {"type": "browser"})


@contextlib.contextmanager
def browser():
    """Starts a driver on a port that it chooses, and a browser with a folder of its own; both end."""
    with tempfile.TemporaryDirectory() as folder:
        with subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True) as driver:
            session = None
            try:
                for line in driver.stdout:
                    if "on port" in line and not line.startswith("Starting"):
                        break
                driver_url = "http://127.0.0.1:" + line.split()[-1].rstrip(".")
                started = Browser(driver_url).ask("POST", "/session", {"capabilities": {"alwaysMatch": {
                    "goog:loggingPrefs": {"browser": "ALL"}, "timeouts": {"script": SCRIPT_MS},
                    "goog:chromeOptions": {"args": FLAGS + [f"--user-data-dir={folder}/profile"]}}}})
                session = Browser(f"{driver_url}/session/{started['sessionId']}")
                yield session
            finally:
                if session:
                    session.ask("DELETE", "")
                driver.terminate()
