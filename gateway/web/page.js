// Uploads a file, polls its job, shows the text. It calls only routes anyone may call.
"use strict";

const POLL_MS = 700;
const FORMATS = ["text", "docx", "srt", "vtt", "tsv", "rttm", "json", "verbose_json", "whisper"];
const element = (id) => document.getElementById(id);
const noticesOf = new Map();
let upload = null;
let jobUrl = null;

function show(id, visible) { element(id).hidden = !visible; }

function state(text, fraction) {
  show("job", true);
  element("state").textContent = text;
  if (fraction === null) element("progress").removeAttribute("value");
  else element("progress").value = fraction;
}

function ended() {
  upload = jobUrl = null;
  show("job", false);
  show("cancel", false);
  element("send").disabled = false;
}

function fail(message) {
  ended();
  element("error").textContent = message;
  show("error", true);
}

async function read(response) {
  const value = await response.json().catch(() => ({ error: `the answer was ${response.status}` }));
  if (!response.ok) throw new Error(value.error);
  return value;
}

// Warnings that every text will have: of the chosen model, and of the site.
function say(id, sentences) {
  element(id).textContent = sentences.map((text) => `${text}.`).join(" ");
  show(id, sentences.length > 0);
}

async function tellNotice() {
  const health = await read(await fetch("/health"));
  const chosen = element("model").value;
  const told = chosen ? (noticesOf.get(chosen) ?? []) : health.warnings;
  const problem = !chosen && health.problem ? [health.problem] : [];
  say("notice", [...problem, ...told.map((warning) => warning.message)]);
}

async function listModels() {
  const value = await read(await fetch("/models"));
  for (const { name, aliases, warnings } of value.data) {
    for (const each of [name, ...aliases]) noticesOf.set(each, warnings);
  }
  for (const name of value.models) {
    const label = name === value.default ? `${name} (the site's own)` : name;
    element("model").add(new Option(label, name));
  }
}

function send(form) {
  const data = new FormData(form);
  for (const name of ["model", "language"]) if (!data.get(name)) data.delete(name);
  upload = new XMLHttpRequest(); // fetch() has no progress of the upload
  upload.open("POST", "/transcribe/file");
  upload.responseType = "json";
  upload.upload.onprogress = (event) => {
    if (event.loaded < event.total) state("uploading", event.loaded / event.total);
    else state("looking at the file", null);
  };
  upload.onerror = () => fail("the gateway could not be reached");
  upload.onabort = () => fail("cancelled");
  upload.onload = (event) => {
    const { status, response } = event.target;
    if (status !== 202 && status !== 200) return fail(response?.error ?? `the answer was ${status}`);
    upload = null;
    jobUrl = `/jobs/${response.job_id}`;
    follow(jobUrl).catch((error) => fail(error.message));
  };
  upload.send(data);
}

async function follow(url) {
  for (;;) {
    const job = await read(await fetch(url));
    if (url !== jobUrl) return;
    if (job.status === "succeeded") return finish(url);
    if (job.status === "failed") return fail(job.error?.message ?? "the job failed");
    if (job.status === "cancelled") return fail("cancelled");
    const running = job.status === "running";
    const clock = running ? `: ${Math.floor(job.audio_done_s)} of ${Math.ceil(job.duration)} s` : "";
    state(running ? `${job.stage ?? "running"}${clock}` : "waiting for a worker",
      running ? job.progress : null);
    await new Promise((resume) => setTimeout(resume, POLL_MS));
  }
}

async function finish(url) {
  const result = await read(await fetch(`${url}/result`));
  // The format `text` has one line for each speaker turn.
  const told = result.turns ? await (await fetch(`${url}/result?format=text`)).text() : result.text;
  element("text").textContent = told || "(nobody speaks)";
  element("facts").textContent =
    `${result.filename}: ${result.info.duration.toFixed(1)} s, ${result.language}, by ${result.model} in ` +
    `${(result.process_time ?? 0).toFixed(1)} s`;
  say("warnings", result.warnings.map((warning) => warning.message));
  const written = FORMATS.filter((name) => name !== "rttm" || result.turns);
  const links = written.map((name) => {
    const link = document.createElement("a");
    link.href = `${url}/result?format=${name}`;
    link.textContent = name;
    link.download = "";
    return link;
  });
  element("formats").replaceChildren("Save as ", ...links);
  show("result", true);
  ended();
}

element("form").addEventListener("submit", (event) => {
  event.preventDefault();
  show("error", false);
  show("result", false);
  show("cancel", true);
  element("send").disabled = true;
  state("uploading", 0);
  send(event.target);
});

element("cancel").addEventListener("click", () => {
  if (upload) return upload.abort();
  const url = jobUrl;
  fail("cancelled");
  if (url) fetch(url, { method: "DELETE" });
});

element("model").addEventListener("change", () => tellNotice().catch(() => {}));

listModels().catch(() => {}); // the default model works without a list
tellNotice().catch(() => {});
