// A daemon without ears (daemon.py) that does what a test says.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const PYTHON = process.env.GLATD_PYTHON ?? "python3";
const ROOT = new URL("../../../", import.meta.url);

export const PATIENCE = 30_000; // ms for what has no limit of its own: machines that test are busy

/** A TCP endpoint that nobody uses now. */
export async function freeEndpoint() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return `tcp://127.0.0.1:${port}`;
}

/** Run a module of Python to its end; what it prints. */
export async function python(...command) {
  const child = spawn(PYTHON, command, { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text) => (said += text));
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}`);
  return said;
}

export const temporary = () => mkdtempSync(join(tmpdir(), "glatd-"));

export class Daemon {
  /** @param {{after: Function}} test which ends it @param {string} node @param {string} keys a folder of them */
  static async start(test, node = "edge-1", keys = "") {
    const daemon = new Daemon();
    daemon.publish = await freeEndpoint();
    daemon.catchup = await freeEndpoint();
    daemon.command = ["-m", "tests.clients.node.daemon", temporary(), daemon.publish, daemon.catchup, node, keys];
    test.after(() => daemon.kill());
    await daemon.restart();
    return daemon;
  }

  /** Start it, on what it had before. */
  async restart() {
    this.process = spawn(PYTHON, this.command, { cwd: ROOT, stdio: ["pipe", "pipe", "inherit"] });
    this.lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
    await this.#line();
  }

  /** Do something and wait until it is done. */
  async do(...command) {
    this.process.stdin.write(`${JSON.stringify(command)}\n`);
    return this.#line();
  }

  /** As `kill -9`. */
  async kill() {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      const gone = once(this.process, "exit"); // "close" would wait for lines that nobody reads
      this.process.kill("SIGKILL");
      await gone;
      for (const stream of [this.process.stdin, this.process.stdout]) stream.destroy();
    }
  }

  async #line() {
    const { value, done } = await this.lines.next();
    if (done) throw new Error("the daemon is gone");
    return JSON.parse(value);
  }
}
