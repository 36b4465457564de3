// N clients at once: each publishes to all, each hears all. Runs beside the box.
import assert from "node:assert";
import { createRequire } from "node:module";

const mqtt = createRequire(import.meta.url)("mqtt"); // by NODE_PATH

const [address, n] = [process.argv[2], Number(process.argv[3])];
const clients = await Promise.all(Array.from({ length: n }, (_, i) =>
  mqtt.connectAsync(`mqtt://${address}:1883`,
    { clientId: `crowd-${i}`, reconnectPeriod: 0, connectTimeout: 60000 })));
await Promise.all(clients.map((c) => c.subscribeAsync("crowd/+")));
let left = n * n;
const all = new Promise((resolve, reject) => {
  const timer = setTimeout(() => reject(new Error(`${left} messages missing`)), 90000);
  clients.forEach((c) => {
    c.on("message", () => {
      if (--left === 0) {
        clearTimeout(timer);
        resolve();
      }
    });
    c.on("close", () => reject(new Error("a client was dropped")));
  });
});
clients.forEach((c, i) => c.publish(`crowd/${i}`, `from ${i}`));
await all;
assert.equal(left, 0);
console.log("crowd: ok");
process.exit(0);
