"""The page for one's own voice: who may ask, what is kept, and all of it in a browser with a microphone."""

import http.client
import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sernb.audio import load
from sernb.config import ROOT
from sernb.own_voice.app import LARGEST, App
from sernb.own_voice.model import model_at

CLIP = sorted((ROOT / "data" / "demo").rglob("*.flac"))[0]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture
def app(tmp_path):
    with App(model_at(), tmp_path / "kept") as served:
        thread = threading.Thread(target=served.serve_forever, daemon=True)
        thread.start()
        yield served
        served.shutdown()
        thread.join()


def ask(app, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", app.server_port, timeout=120)
    given = {"X-Sernb-Token": app.token} | {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, {name: value for name, value in given.items() if value is not None})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def test_only_its_own_page_may_ask(app):
    page = f"/?token={app.token}"
    assert ask(app, "GET", page)[0].status == 200
    assert ask(app, "GET", "/kept")[0].status == 200
    for path, headers in (
        ("/", {}),
        ("/?token=wrong", {}),
        ("/kept", {"X_Sernb_Token": None}),
        ("/kept", {"X_Sernb_Token": "wrong"}),
        ("/kept", {"Host": f"evil.example:{app.server_port}"}),
        ("/kept", {"Origin": "https://evil.example"}),
        ("/kept", {"Origin": "null"}),
        ("/kept", {"Sec_Fetch_Site": "cross-site"}),
        (page, {"Host": "evil.example"}),
    ):
        assert ask(app, "GET", path, **headers)[0].status == 403, (path, headers)
    assert ask(app, "POST", "/delete", Origin="https://evil.example")[0].status == 403
    assert app.server_address[0] == "127.0.0.1"


def test_the_page_asks_nobody_else(app):
    answer, content = ask(app, "GET", f"/?token={app.token}")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "unsafe" not in policy
    assert b"http" not in content.replace(b"http://www.w3.org/2000/svg", b"")  # a name, no address
    assert answer.headers["Cache-Control"] == "no-store"


def test_odd_uploads_are_refused_in_one_line(app):
    def refused(status, words, path="/predict?name=me.wav", body=b"", **headers):
        answer, content = ask(app, "POST", path, body, **headers)
        assert answer.status == status
        said = json.loads(content)["error"]
        assert words in said
        assert "\n" not in said

    refused(413, "use `sernb predict`", Content_Length=str(LARGEST + 1))
    refused(422, "me.wav: is empty")
    refused(422, "me.wav: is no audio file", body=b"\xff\xd8\xff\xe0" + bytes(range(256)))
    refused(404, "no such page", path="/other")
    refused(422, "x<b>.wav: is", path="/predict?name=..%2F..%2Fx%3Cb%3E.wav", body=b"RIFF")
    assert ask(app, "GET", "/sound?key=..%2Fsecret")[0].status == 404


def test_nothing_is_kept_unless_asked_and_only_that_is_deleted(app):
    sound, folder = CLIP.read_bytes(), app.keeper.folder
    assert ask(app, "POST", "/predict?name=me.flac", sound)[0].status == 200
    assert not folder.exists()
    _, content = ask(app, "POST", "/keep?name=%3Db%3Ei.flac", sound)
    [kept] = json.loads(content)
    assert kept["file"] == "=b>i.flac"
    assert ask(app, "GET", f"/sound?key={kept['key']}")[1] == sound
    rows = ask(app, "GET", "/kept.csv")[1].decode().splitlines()
    assert rows[1].startswith("'=b>i.flac,")
    mine = folder / "diary.txt"
    mine.write_text("mine")
    assert json.loads(ask(app, "POST", "/delete")[1]) == {"deleted": 1}
    assert list(folder.iterdir()) == [mine]


@pytest.fixture
def page(app, tmp_path, recordings):
    """The page in Chromium, whose microphone hears a RAVDESS clip; whatever it asks for and complains of is noted."""
    if not CHROMIUM:
        pytest.skip("chromium is not here")
    from playwright.sync_api import sync_playwright

    spoken = load(recordings / "ravdess" / "Actor_08" / "03-01-05-02-01-01-08.wav", 48_000)
    soundfile.write(tmp_path / "spoken.wav", np.tile(spoken, 4), 48_000)
    options = [
        "--no-sandbox",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={tmp_path / 'spoken.wav'}",
    ]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=options)
        opened = browser.new_page(viewport={"width": 390, "height": 800})
        opened.set_default_timeout(120_000)
        opened.asked, opened.complaints = [], []
        opened.on("request", lambda request: opened.asked.append(request.url))
        opened.on("console", lambda said: opened.complaints.append(said.text))
        opened.on("pageerror", lambda error: opened.complaints.append(str(error)))
        opened.goto(app.address)
        yield opened
        browser.close()


@pytest.mark.slow
def test_record_see_keep_export_delete(page, app):
    page.get_by_role("button", name="Record").click()
    page.locator("#live svg").wait_for()  # emotion over time while one speaks
    page.get_by_role("button", name="Stop").click()
    page.locator("#result").wait_for()
    assert "Is this recording like those" in page.inner_text("#ready")
    assert page.locator("#bars tbody tr").count() == 8
    assert page.locator("#line svg").get_attribute("aria-label").startswith("Probability of each emotion over time")
    assert not app.keeper.folder.exists()
    page.get_by_role("button", name="Keep this recording").click()
    page.locator("#kept tbody tr").wait_for()
    assert len(list(app.keeper.folder.glob("*.wav"))) == 1
    page.get_by_role("button", name="Play recording").click()
    page.locator("#kept audio").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export as CSV").click()
    assert Path(download.value.path()).read_text("utf-8").splitlines()[0].startswith("file,seconds,answer")
    page.get_by_role("button", name="Delete everything").click()
    page.get_by_text("Deleted 1 recording. Nothing is kept.").wait_for()
    assert not app.keeper.folder.exists()
    assert {url.split("/")[2] for url in page.asked if url.startswith("http")} == {f"127.0.0.1:{app.server_port}"}
    assert not page.complaints
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.slow
def test_every_format_can_be_uploaded(page, app, tmp_path):
    signal, rate = soundfile.read(CLIP)
    for form in ("wav", "flac", "ogg", "mp3"):
        path = tmp_path / f"<b>me.{form}"
        soundfile.write(path, signal, rate)
        page.set_input_files("#file", path)
        page.get_by_text(f"Heard <b>me.{form}.").wait_for()
        assert page.locator("#answer").inner_text()
    (tmp_path / "picture.wav").write_bytes(b"\xff\xd8\xff\xe0" + bytes(range(256)))
    page.set_input_files("#file", tmp_path / "picture.wav")
    page.get_by_text("picture.wav: is no audio file").wait_for()
    assert page.locator("#result").is_hidden()


@pytest.mark.slow
def test_what_needs_ffmpeg_is_decoded_by_the_browser(page, app, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    signal, rate = soundfile.read(CLIP)
    soundfile.write(tmp_path / "me.ogg", signal, rate, format="OGG", subtype="OPUS")
    (tmp_path / "me.m4a").write_bytes((tmp_path / "me.ogg").read_bytes())
    page.set_input_files("#file", tmp_path / "me.m4a")
    page.get_by_text("Heard me.m4a.").wait_for()
    assert page.locator("#bars tbody tr").count() == 8
