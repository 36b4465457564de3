// Many retained topics reach one `#` subscriber completely while publishes go on, and no
// observer sees a value go backwards. Runs beside the box: ADDRESS TOPICS SECONDS.
import assert from "node:assert";
import { createRequire } from "node:module";

const mqtt = createRequire(import.meta.url)("mqtt"); // by NODE_PATH

const [address, count, patience_s] = [process.argv[2], ...process.argv.slice(3).map(Number)];
const patience = setTimeout(() => {
  console.log(`retained_many: waited too long; ${said()}`);
  process.exit(1);
}, patience_s * 1000);
let said = () => "publishing";

const topicOf = (i) => `many/${i % 100}/${i}`;
const connect = (id) => mqtt.connectAsync(`mqtt://${address}:1883`, {
  clientId: id, protocolVersion: 5, reconnectPeriod: 0,
});

const writer = await connect("many-writer");
const version = new Array(count).fill(1);
const WINDOW = 100; // what the server offers: the client does not look
for (let i = 0; i < count; i += WINDOW) {
  const some = [];
  for (let k = i; k < Math.min(count, i + WINDOW); k++) {
    some.push(writer.publishAsync(topicOf(k), `${k} 1`, { qos: 1, retain: true }));
  }
  await Promise.all(some);
}

class Observer {
  constructor(name) {
    this.name = name;
    this.last = new Map();
    this.retained = 0;
  }

  async open(qos) {
    this.c = mqtt.connect(`mqtt://${address}:1883`, {
      clientId: this.name, protocolVersion: 5, reconnectPeriod: 0,
    });
    this.c.on("message", (topic, payload, packet) => {
      const [number, value] = payload.toString().split(" ").map(Number);
      assert.equal(topic, topicOf(number));
      const before = this.last.get(number) ?? 0;
      assert.ok(value >= before, `${this.name}: ${topic} went from ${before} back to ${value}`);
      this.last.set(number, value);
      this.retained += packet.retain ? 1 : 0;
    });
    await new Promise((resolve) => this.c.once("connect", resolve));
    await this.c.subscribeAsync("#", { qos });
  }
}

// Goes on publishing new values until told to stop.
let stop = false;
async function writeOn() {
  for (let i = 0; !stop; i = (i + 7919) % count) {
    await writer.publishAsync(topicOf(i), `${i} ${++version[i]}`, { qos: 1, retain: true });
  }
}

const observers = [new Observer("many-0"), new Observer("many-1"), new Observer("many-2")];
const behind = (o) => version.filter((v, i) => o.last.get(i) !== v).length;
const tell = (o) => `${o.name}: ${o.last.size} topics, ${o.retained} retained, ${behind(o)} behind`;
said = () => observers.map(tell).join("; ");
const writing = writeOn();
await observers[0].open(0);
await observers[1].open(1);
await observers[2].open(2);
const wait = async (condition) => {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
};
await wait(() => observers.every((o) => o.last.size === count));
stop = true;
await writing;
// A slow subscriber may miss a new value at QoS 0, which is nobody's promise.
await wait(() => observers.slice(1).every((o) => behind(o) === 0));
clearTimeout(patience);
console.log(`# ${said()}`);
console.log("retained_many: ok");
process.exit(0);
