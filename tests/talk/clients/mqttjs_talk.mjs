// Unmodified npm `mqtt` 5.x, MQTT 3.1.1 and 5.0, QoS 0. Runs beside the box.
import assert from "node:assert";
import { once } from "node:events";
import { createRequire } from "node:module";

const mqtt = createRequire(import.meta.url)("mqtt"); // by NODE_PATH

const address = process.argv[2];
const patience = AbortSignal.timeout(30000);

async function talk(protocolVersion) {
  const options = { protocolVersion, reconnectPeriod: 0 };
  const sub = await mqtt.connectAsync(`mqtt://${address}:1883`, options);
  const pub = await mqtt.connectAsync(`mqtt://${address}:1883`, options);
  const granted = await sub.subscribeAsync([`js/${protocolVersion}/+`, "js/end"]);
  assert.deepEqual(granted.map((g) => g.qos), [0, 0]);
  const heard = [];
  const end = new Promise((resolve) => {
    sub.on("message", (topic, payload, packet) => {
      heard.push({ topic, payload, packet });
      if (topic === "js/end") resolve();
    });
  });
  const body = Buffer.from(Uint8Array.from({ length: 100000 }, (_, i) => i & 255));
  await pub.publishAsync(`js/${protocolVersion}/bin`, body, {
    properties: protocolVersion === 5
      ? {
          userProperties: { a: "1", b: "2" },
          contentType: "x/y",
          correlationData: Buffer.from("c"),
        }
      : undefined,
  });
  for (let i = 0; i < 1000; i++) pub.publish(`js/${protocolVersion}/n`, String(i));
  await pub.publishAsync("js/end", "end");
  await Promise.race([end, once(patience, "abort").then(() => assert.fail("timeout"))]);
  assert.equal(heard[0].topic, `js/${protocolVersion}/bin`);
  assert.ok(heard[0].payload.equals(body));
  if (protocolVersion === 5) {
    assert.deepEqual({ ...heard[0].packet.properties.userProperties }, { a: "1", b: "2" });
    assert.equal(heard[0].packet.properties.contentType, "x/y");
  }
  const numbers = heard.slice(1, -1).map((h) => h.payload.toString());
  assert.deepEqual(numbers, Array.from({ length: 1000 }, (_, i) => String(i)));
  await sub.unsubscribeAsync("js/end");
  await sub.endAsync();
  await pub.endAsync();
}

await talk(4);
await talk(5);
console.log("mqttjs: ok");
process.exit(0);
