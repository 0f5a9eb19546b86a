// An application in TypeScript: compiled by the tests, not run.

import { ConfigError, EventStream, FileCursor, Subscriber, unpack } from "../../../clients/node/index.js";
import type { Cursor, Event, Message, Position } from "../../../clients/node/index.js";

const table = new Map<string, Position>();
const cursor: Cursor = { load: async (node) => table.get(node), save: (node, at) => void table.set(node, at) };

export async function events(): Promise<Event[]> {
  const heard: Event[] = [];
  const keys = { "tcp://a:5555": "a.key", "tcp://b:5555": new URL("file:///b.key") };
  const publish = Object.keys(keys);
  const options = { publish, cursor, label: ["Dog", "Vehicle"], phase: "start" as const, keys, fresh: "now" as const };
  for await (const event of new EventStream({ ...options, lost: (loss) => console.log(loss.stop - loss.start) })) {
    const [start, end] = event.evidence.crop ?? [event.onset, event.onset];
    const seconds: number = (end - start) / event.rate;
    if (seconds > 1 && event.offset_time !== null) heard.push(event);
  }
  return heard;
}

export async function tags(): Promise<string> {
  const messages = new Subscriber("tcp://a:5555", { types: ["tags", "gap"], timeout: 1000 });
  for await (const message of messages) {
    if (message.type === "tags") return message.tags[0]?.label ?? "nothing";
    if (message.type === "gap") return message.cause;
    // @ts-expect-error: a status has no tags
    if (message.type === "status") return message.tags;
  }
  const message: Message = unpack(new Uint8Array());
  return message.time;
}

// @ts-expect-error: events need to know where from
new EventStream({ catchup: "tcp://a:5557" });
// @ts-expect-error: no such phase
new EventStream({ publish: "tcp://a:5555", phase: "begin" });
// @ts-expect-error: a file has a name
new FileCursor();
export const error: Error = new ConfigError("x");
