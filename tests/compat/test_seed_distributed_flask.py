"""Every HTTP example of the distributed Flask system, as it is printed there."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from browser import open_browser
from conftest import running_site
from environments import run_script
from recordings import Curl, Hear, Recordings, curl, hear, recordings
from sites import Site

__all__ = ["curl", "hear", "recordings"]

HERE = "http://140.96.170.75:8496"
BACKEND = "http://192.168.50.120:8799"

FILE = """\
curl -X POST http://140.96.170.75:8496/transcribe/file \\
  -F "file=@your-audio.mp3" \\
  -F "model=large-v3" \\
  -F "timestamps=true"
"""
BINARY = """\
curl -X POST "http://140.96.170.75:8496/transcribe/binary?model=large-v3&ext=wav" \\
  --data-binary "@your-audio.wav" \\
  -H "Content-Type: application/octet-stream"
"""
PYTHON = """\
import requests

# 文件上傳轉錄
with open("audio.mp3", "rb") as f:
    files = {"file": f}
    data = {
        "model": "large-v3",
        "timestamps": "true"
    }
    response = requests.post(
        "http://140.96.170.75:8496/transcribe/file",
        files=files,
        data=data
    )

result = response.json()
if result["success"]:
    print(f"轉錄結果: {result['text']}")
    print(f"處理時間: {result['process_time']:.2f}秒")

    # 如果有時間軸數據
    if "segments" in result:
        for segment in result["segments"]:
            print(f"{segment['start']:.2f}s - {segment['end']:.2f}s: {segment['text']}")
else:
    print(f"錯誤: {result['error']}")
"""
BROWSER = """\
// 文件上傳轉錄
async function transcribeAudio(file) {
    const formData = new FormData();
    formData.append('file', file);
    formData.append('model', 'large-v3');
    formData.append('timestamps', 'true');

    try {
        const response = await fetch('http://140.96.170.75:8496/transcribe/file', {
            method: 'POST',
            body: formData
        });

        const result = await response.json();

        if (result.success) {
            console.log('轉錄結果:', result.text);
            console.log('處理時間:', result.process_time + '秒');

            // 顯示時間軸數據
            if (result.segments) {
                result.segments.forEach(segment => {
                    console.log(`${segment.start.toFixed(2)}s - ${segment.end.toFixed(2)}s: ${segment.text}`);
                });
            }
        } else {
            console.error('轉錄失敗:', result.error);
        }
    } catch (error) {
        console.error('請求錯誤:', error);
    }
}

// 使用範例
document.getElementById('fileInput').addEventListener('change', function(e) {
    const file = e.target.files[0];
    if (file) {
        transcribeAudio(file);
    }
});
"""  # noqa: E501 - as it is printed
LINE = re.compile(r"\d+\.\d\ds - \d+\.\d\ds: (.*)")


def said(lines: list[str]) -> str:
    """The text of the lines with times."""
    return "".join(found[1] for line in lines if (found := LINE.fullmatch(line))).strip()


@pytest.mark.promise("S4-06", "S4-10", "S4-11", "S4-18", "C-02", "C-16")
def test_the_file_example(curl: Curl, hear: Hear) -> None:
    value = json.loads(curl(FILE, HERE))

    assert (value["success"], value["text"]) == (True, hear("your-audio.mp3"))
    assert isinstance(value["process_time"], float)
    assert {"start", "end", "text"} <= set(value["segments"][0])


@pytest.mark.promise("S4-07", "S4-10")
@pytest.mark.parametrize("header", ["as printed", "left out"])
def test_the_binary_example(curl: Curl, hear: Hear, header: str) -> None:
    command = BINARY
    if header == "left out":
        command = BINARY.replace(' \\\n  -H "Content-Type: application/octet-stream"', "")

    value = json.loads(curl(command, HERE))

    assert (value["success"], value["text"]) == (True, hear("your-audio.wav"))
    assert "segments" not in value


@pytest.mark.promise("S4-08", "S4-15", "C-09", "C-24")
def test_the_example_that_lists_models(curl: Curl) -> None:
    value = json.loads(curl("curl http://140.96.170.75:8496/models", HERE))

    assert {"large-v3", "turbo"} <= set(value["models"])


@pytest.mark.promise("S4-09", "S4-23")
def test_the_health_example(curl: Curl) -> None:
    assert json.loads(curl("curl http://192.168.50.120:8799/health", BACKEND))["success"] is True


@pytest.mark.promise("S4-06", "S4-10", "S4-11")
def test_the_python_example(
    compat_site: Site, environment: Callable[[str], Path], recordings: Recordings, hear: Hear
) -> None:
    program = PYTHON.replace(HERE, compat_site.stack.url)

    printed = run_script(environment("requests"), program, cwd=recordings.folder).splitlines()

    assert printed[0] == f"轉錄結果: {hear('audio.mp3')}"
    assert re.fullmatch(r"處理時間: \d+\.\d\d秒", printed[1])
    assert said(printed) == hear("audio.mp3")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_args: object) -> None:
        """Nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of another site, whose pages lie in a folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.promise("S4-10", "S4-12", "S3-28")
def test_the_browser_example_on_a_page_of_another_site(
    models_dir: Path, recordings: Recordings, hear: Hear, tmp_path: Path
) -> None:
    page_of = '<!doctype html><meta charset="utf-8"><input type="file" id="fileInput"><script>\n'
    with (
        served(tmp_path) as elsewhere,
        running_site(models_dir, LONGHAND_CORS_ORIGINS=elsewhere) as site,
        open_browser() as page,
    ):
        script = BROWSER.replace(HERE, site.stack.url)
        (tmp_path / "page.html").write_text(f"{page_of}{script}</script>", encoding="utf-8")
        page.open(f"{elsewhere}/page.html")
        page.choose_file("#fileInput", recordings["audio.mp3"])
        printed = page.wait_for_print(3)

    assert printed[0] == f"轉錄結果: {hear('audio.mp3')}"
    assert re.fullmatch(r"處理時間: [\d.]+秒", printed[1])
    assert LINE.fullmatch(printed[2])


@pytest.mark.promise("S4-12", "S3-28")
def test_a_page_of_a_site_that_is_not_listed_reads_nothing(
    compat_site: Site, recordings: Recordings, tmp_path: Path
) -> None:
    (tmp_path / "page.html").write_text("<!doctype html>", encoding="utf-8")
    ask = f"fetch('{compat_site.stack.url}/models').then(() => 'read', () => 'refused')"
    with served(tmp_path) as elsewhere, open_browser() as page:
        page.open(f"{elsewhere}/page.html")
        told = page.run(ask)

    assert told == "refused"
