// Retained topics up to the limit, and beyond: ADDRESS LIMIT BEYOND. Beside the box, MQTT 5.0.
import assert from "node:assert";
import { createRequire } from "node:module";

const mqtt = createRequire(import.meta.url)("mqtt"); // by NODE_PATH

const [address, limit, beyond] = [process.argv[2], ...process.argv.slice(3).map(Number)];
const QUOTA_EXCEEDED = 0x97;
const WINDOW = 100; // what the server offers: the client does not look
const PATIENCE_MS = 60000;
let said = () => "connecting";
setTimeout(() => {
  console.log(`retained_limit: waited too long; ${said()}`);
  process.exit(1);
}, PATIENCE_MS).unref();

const topicOf = (i) => `limit/${i % 100}/${i}`;
const connect = (id) => mqtt.connectAsync(`mqtt://${address}:1883`, {
  clientId: id, protocolVersion: 5, reconnectPeriod: 0,
});
const writer = await connect("limit-writer");
const publish = (i, qos, text = `${i}`) =>
  writer.publishAsync(topicOf(i), text, { qos, retain: true });
async function taken(i, qos, text) {
  try {
    await publish(i, qos, text);
  } catch (e) {
    throw new Error(`${topicOf(i)} "${text}" at QoS ${qos}: ${e}`);
  }
}

async function each(from, to, act) {
  for (let i = from; i < to; i += WINDOW) {
    const some = [];
    for (let k = i; k < Math.min(to, i + WINDOW); k++) some.push(act(k));
    await Promise.all(some);
  }
}

async function refused(i, qos) {
  await assert.rejects(publish(i, qos), (e) => {
    assert.equal(e.code, QUOTA_EXCEEDED, `${e}`);
    return true;
  });
  refusals++;
}

async function values() {
  const c = await connect("limit-reader");
  const got = new Map();
  c.on("message", (topic, payload) => got.set(topic, payload.toString()));
  await c.subscribeAsync("limit/#", { qos: 1 });
  while (got.size < limit) await new Promise((resolve) => setImmediate(resolve));
  await c.endAsync();
  return got;
}

let refusals = 0;
said = () => `${refusals} refused of ${beyond}`;
await each(0, limit, (i) => taken(i, 1));
const start = performance.now();
await each(limit, limit + beyond, (i) => refused(i, 1 + (i % 2)));
await publish(limit, 0); // nobody hears of it
const took = performance.now() - start;

// An old topic gets its new value, and one that goes makes room for one.
await taken(1, 1, "new");
await refused(limit, 1);
await taken(2, 1, "");
await taken(limit, 2);
await refused(limit + 1, 2);

const got = await values();
assert.equal(got.size, limit);
assert.equal(got.get(topicOf(1)), "new");
assert.ok(!got.has(topicOf(2)) && got.has(topicOf(limit)) && !got.has(topicOf(limit + 1)));
console.log(`# ${limit} taken, ${refusals} refused in ${took.toFixed(0)} ms`);
console.log("retained_limit: ok");
process.exit(0);
