"""A real application as the server: aiohttp in a thread, with pages, uploads, events and a WebSocket echo."""

from __future__ import annotations

import asyncio
import hashlib
import json
import queue
import threading
from typing import Any

from aiohttp import WSMsgType, web

ASSETS = 150
LARGE = bytes(range(256)) * 40_000  # 10 MB

PAGE = """<!doctype html><html><head><title>site</title>%s</head><body><script>
(async () => {
  const images = await Promise.all([...Array(%d).keys()].map(n => new Promise(done => {
    const image = new Image(); image.onload = () => done(image.width === 1); image.onerror = () => done(false);
    image.src = `/asset/${n}.gif?x=${n}`; document.body.append(image);
  })));
  const texts = await Promise.all([...Array(50).keys()].map(n => fetch(`/text/${n}`).then(r => r.text())));
  const posted = await fetch('/digest', {method: 'POST', body: new Uint8Array(3000000)}).then(r => r.text());
  const events = await new Promise(done => {
    const source = new EventSource('/events'), got = [];
    source.onmessage = e => { got.push(e.data); if (got.length === 3) { source.close(); done(got); } };
    source.onerror = () => done([]);
  });
  const echoed = await new Promise(done => {
    const socket = new WebSocket(`ws://${location.host}/ws`), got = [];
    socket.onopen = () => { for (let n = 0; n < 20; n++) socket.send('m' + n); };
    socket.onmessage = e => { got.push(e.data); if (got.length === 20) socket.close(1000, 'done'); };
    socket.onclose = e => done(e.code === 1000 && got.every((m, n) => m === 'm' + n) ? got.length : -1);
    socket.onerror = () => done(-1);
  });
  const scripts = Object.keys(window).filter(k => k.startsWith('asset_')).length;
  return {images: images.filter(Boolean).length, scripts, texts: texts.filter((t, n) => t === 'text ' + n).length,
    posted, events, echoed};
})().catch(e => ({failed: String(e)})).then(result => fetch('/report', {method: 'POST', body: JSON.stringify(result)}));
</script></body></html>"""

GIF = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")


async def page(_: web.Request) -> web.Response:
    scripts = "".join(f'<script src="/asset/{n}.js"></script>' for n in range(ASSETS))
    return web.Response(text=PAGE % (scripts, ASSETS), content_type="text/html")


async def asset(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    if name.endswith(".js"):
        return web.Response(text=f"window.asset_{name[:-3]} = 1;", content_type="text/javascript")
    return web.Response(body=GIF, content_type="image/gif", headers={"Cache-Control": "no-store"})


async def text(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()  # chunked
    await response.prepare(request)
    await response.write(b"text ")
    await response.write(request.match_info["n"].encode())
    return response


async def digest(request: web.Request) -> web.Response:
    total = hashlib.sha256()
    async for piece in request.content.iter_any():
        total.update(piece)
    return web.Response(text=total.hexdigest())


async def large(_: web.Request) -> web.Response:
    return web.Response(body=LARGE)


async def say(request: web.Request) -> web.Response:
    """What reached the server, as JSON."""
    return web.json_response(
        {
            "method": request.method,
            "path": request.raw_path,
            "headers": dict(request.headers),
            "body": (await request.read()).decode("latin-1"),
        }
    )


async def events(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for n in range(3):
        await response.write(b"data: %d\n\n" % n)
    # left open: the client has to see the events before the end
    await asyncio.Event().wait()
    return response


async def echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(max_msg_size=0)
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


class Site:
    """Runs until close(); `address` is where."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.reports: queue.Queue[Any] = queue.Queue()  # what the page's script found
        started = threading.Event()

        async def report(request: web.Request) -> web.Response:
            self.reports.put(json.loads(await request.text()))
            return web.Response(status=204)

        async def start() -> None:
            app = web.Application(client_max_size=1 << 30)
            app.add_routes([
                web.get("/", page), web.get("/asset/{name}", asset), web.get("/text/{n}", text), web.post("/digest", digest),
                web.put("/digest", digest), web.get("/large", large), web.get("/events", events), web.get("/ws", echo),
                web.route("*", "/say{rest:.*}", say), web.post("/report", report),
            ])  # fmt: skip
            runner = web.AppRunner(app, handler_cancellation=True)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            host, port = runner.addresses[0][:2]
            self.address = f"{host}:{port}"
            started.set()

        self.loop.create_task(start())
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        started.wait(10)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
