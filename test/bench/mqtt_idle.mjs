// Opens many idle MQTT connections: how fast a server takes them, and what each costs it in resident memory.
// Prints one JSON line.
import { parseArgs } from 'node:util'
import { open, openMany, procUsage } from './mqtt_load.mjs'

const { values: o } = parseArgs({
  options: {
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '1883' },
    conns: { type: 'string', default: '10000' },
    pid: { type: 'string', default: '' }, // server process(es), comma-separated
    settle: { type: 'string', default: '3' }, // seconds before each reading
    username: { type: 'string', default: '' },
    password: { type: 'string', default: '' },
  },
})
const pids = o.pid.split(',').filter(Boolean)
const sleep = (s) => new Promise((resolve) => setTimeout(resolve, s * 1000))
const count = Number(o.conns)
await sleep(Number(o.settle))
const before = procUsage(pids)
const began = performance.now()
const sockets = await openMany(count, (k) => open(o, `idle-${k}`, () => {}))
const seconds = (performance.now() - began) / 1000
const opened = procUsage(pids)
await sleep(Number(o.settle))
const after = procUsage(pids)
console.log(JSON.stringify({
  conns: count,
  connects_per_s: Math.round(count / seconds),
  server_rss_mib_before: +(before.rss / 2 ** 20).toFixed(1),
  server_rss_mib_after: +(after.rss / 2 ** 20).toFixed(1),
  server_bytes_per_conn: Math.round((after.rss - before.rss) / count),
  server_cpu_ms_per_connect: +((opened.cpu - before.cpu) * 1000 / count).toFixed(3)
}))
for (const socket of sockets) { socket.done = true; socket.destroy() }
