// Unmodified npm `mqtt` 5.x: what survives. Runs beside the box.
import assert from "node:assert";
import { createRequire } from "node:module";

const mqtt = createRequire(import.meta.url)("mqtt"); // by NODE_PATH

const address = process.argv[2];
const PATIENCE_MS = 30000;

class Client {
  constructor(id, protocolVersion, options = {}) {
    this.heard = [];
    this.waiting = [];
    this.options = {
      clientId: id, protocolVersion, reconnectPeriod: 0, clean: true, ...options,
    };
  }

  async connect(more = {}) {
    this.c = mqtt.connect(`mqtt://${address}:1883`, { ...this.options, ...more });
    // Before CONNACK: queued messages follow it at once.
    this.c.on("message", (topic, payload, packet) => {
      this.heard.push({ topic, text: payload.toString(), qos: packet.qos, retain: packet.retain });
      this.waiting.splice(0).forEach((wake) => wake());
    });
    const connack = await within(new Promise((resolve, reject) => {
      this.c.once("connect", resolve);
      this.c.once("error", reject);
    }), `${this.options.clientId} to connect`);
    return connack.sessionPresent;
  }

  async next() {
    while (this.heard.length === 0) {
      await within(new Promise((resolve) => this.waiting.push(resolve)), "a message");
    }
    return this.heard.shift();
  }

  async take(count) {
    const all = [];
    while (all.length < count) all.push(await this.next());
    return all;
  }

  end() {
    return this.c.endAsync();
  }

  // The connection breaks without a goodbye.
  async drop() {
    const closed = new Promise((resolve) => this.c.once("close", resolve));
    this.c.stream.destroy();
    await closed;
    await this.c.endAsync(true);
  }
}

function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited too long for ${what}`)), PATIENCE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function qosPairs(version) {
  const pub = new Client(`js-pairs-pub-${version}`, version);
  await pub.connect();
  for (const granted of [0, 1, 2]) {
    const sub = new Client(`js-pairs-${version}-${granted}`, version);
    await sub.connect();
    const [grant] = await sub.c.subscribeAsync(`jsp/${version}/${granted}/+`, { qos: granted });
    assert.equal(grant.qos, granted);
    for (const sent of [0, 1, 2]) {
      await pub.c.publishAsync(`jsp/${version}/${granted}/${sent}`, `${sent}`, { qos: sent });
      const m = await sub.next();
      assert.deepEqual([m.text, m.qos], [`${sent}`, Math.min(sent, granted)]);
    }
    await sub.end();
  }
  await pub.end();
}

async function persistentSession(version) {
  const properties = version === 5 ? { sessionExpiryInterval: 600 } : undefined;
  const sub = new Client(`js-keeps-${version}`, version, { clean: false, properties });
  await sub.connect({ clean: version === 5 ? true : false });
  await sub.c.subscribeAsync(`jsk/${version}/#`, { qos: 2 });
  await sub.drop();
  const pub = new Client(`js-keeps-pub-${version}`, version);
  await pub.connect();
  for (let i = 0; i < 100; i++) {
    await pub.c.publishAsync(`jsk/${version}/${i % 5}`, `${i}`, { qos: 1 + (i % 2) });
  }
  assert.equal(await sub.connect(), true, "the session is gone");
  const heard = await sub.take(100);
  for (const qos of [1, 2]) {
    const texts = heard.filter((m) => m.qos === qos).map((m) => Number(m.text));
    assert.deepEqual(texts, [...Array(50).keys()].map((i) => 2 * i + qos - 1));
  }
  await sub.c.unsubscribeAsync(`jsk/${version}/#`);
  await sub.end();
  const fresh = new Client(`js-keeps-${version}`, version);
  assert.equal(await fresh.connect(), false);
  await fresh.end();
  await pub.end();
}

async function retained(version) {
  const pub = new Client(`js-kept-pub-${version}`, version);
  await pub.connect();
  for (let i = 0; i < 200; i++) {
    await pub.c.publishAsync(`jsr/${version}/${i}`, `v${i}`, { qos: i % 3, retain: true });
  }
  const sub = new Client(`js-kept-${version}`, version);
  await sub.connect();
  await sub.c.subscribeAsync(`jsr/${version}/+`, { qos: 2 });
  const heard = await sub.take(200);
  assert.ok(heard.every((m) => m.retain));
  assert.deepEqual(new Set(heard.map((m) => m.topic)).size, 200);
  for (let i = 0; i < 200; i++) {
    await pub.c.publishAsync(`jsr/${version}/${i}`, "", { qos: 1, retain: true });
  }
  await sub.end();
  await pub.end();
}

async function willAndTakeover(version) {
  const watch = new Client(`js-watch-${version}`, version);
  await watch.connect();
  await watch.c.subscribeAsync(`jsw/${version}/#`, { qos: 2 });
  const payload = Buffer.from("gone");
  const will = { topic: `jsw/${version}/will`, payload, qos: 2, retain: false };
  const doomed = new Client(`js-doomed-${version}`, version, { will });
  await doomed.connect();
  await doomed.drop();
  assert.equal((await watch.next()).text, "gone");
  const first = new Client(`js-twin-${version}`, version);
  await first.connect();
  const closed = within(new Promise((resolve) => first.c.once("close", resolve)), "the takeover");
  const second = new Client(`js-twin-${version}`, version);
  await second.connect();
  await closed;
  await first.c.endAsync(true);
  await second.end();
  await watch.end();
}

for (const version of [4, 5]) {
  await qosPairs(version);
  await persistentSession(version);
  await retained(version);
  await willAndTakeover(version);
}
console.log("mqttjs: ok");
process.exit(0);
