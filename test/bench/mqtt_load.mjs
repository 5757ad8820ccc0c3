// MQTT 3.1.1 load generator over raw TCP, for the benches; no dependencies.
//
// Frames are encoded once per connection and resent as slices of that buffer: a PUBACK for packet id i
// frees slot i and the frame of slot i goes out again. Acks of one read are answered by one write, so the
// generator costs far less per message than any server it measures.
//
//   closed loop (default)  every connection keeps --window messages in flight
//   open loop (--rate R)   message n is due at n/R s; latency counts from the due time (no coordinated omission)
//   QoS 0                  back-pressure is TCP's; the run ends when every connection has its PINGRESP
//   --subs S               S subscribers on --filter; the run ends when S x n deliveries came (or --wait passed)
//
// Prints one JSON line.
import net from 'node:net'
import fs from 'node:fs'
import { parseArgs } from 'node:util'
import { pathToFileURL } from 'node:url'

const options = {
  host: { type: 'string', default: '127.0.0.1' },
  port: { type: 'string', default: '1883' }, // comma-separated: publisher k connects to port k of them, round and round
  conns: { type: 'string', default: '50' }, // publisher connections
  window: { type: 'string', default: '32' }, // messages in flight per connection (QoS 1)
  batch: { type: 'string', default: '32' }, // frames per write (QoS 0)
  n: { type: 'string', default: '100000' }, // messages in all
  payload: { type: 'string', default: '200' }, // bytes
  qos: { type: 'string', default: '1' }, // 0 or 1
  rate: { type: 'string', default: '0' }, // messages/s in all; 0 = closed loop
  topic: { type: 'string', default: 'sensors/{id}/m{m}' }, // {id} client id, {m} metric number
  metrics: { type: 'string', default: '4' }, // distinct metrics per device (at most 10)
  prefix: { type: 'string', default: 'dev-' }, // client ids <prefix>0 ...
  subs: { type: 'string', default: '0' }, // subscriber connections
  filter: { type: 'string', default: 'sensors/#' }, // what they subscribe to
  subqos: { type: 'string', default: '0' },
  wait: { type: 'string', default: '10' }, // seconds without any progress before giving up
  pid: { type: 'string', default: '' }, // server process(es), comma-separated: report its CPU and RSS
  username: { type: 'string', default: '' },
  password: { type: 'string', default: '' },
  help: { type: 'boolean', default: false },
}

const num = (v) => Number(v)

/** The process and all below it. */
function family (pid) {
  const all = [pid]
  for (const task of fs.readdirSync(`/proc/${pid}/task`)) {
    const children = fs.readFileSync(`/proc/${pid}/task/${task}/children`, 'latin1').split(' ').filter(Boolean)
    for (const child of children) all.push(...family(child))
  }
  return all
}

/** CPU seconds (user + system, also of children that are over) and RSS bytes of processes and their children. */
export function procUsage (pids) {
  let cpu = 0; let rss = 0
  for (const pid of pids.flatMap(family)) {
    const f = fs.readFileSync(`/proc/${pid}/stat`, 'latin1')
    const s = f.slice(f.lastIndexOf(')') + 2).split(' ')
    for (const at of [11, 12, 13, 14]) cpu += Number(s[at]) / 100
    rss += Number(s[21]) * 4096
  }
  return { cpu, rss }
}

/** Latency histogram: 64 buckets per power of two, in microseconds; under 1.6 % error. */
export class Hist {
  constructor () { this.b = new Uint32Array(64 * 40); this.n = 0; this.max = 0 }
  add (ms, count = 1) {
    const us = Math.max(1, ms * 1000)
    const e = Math.floor(Math.log2(us))
    this.b[e * 64 + Math.floor((us / 2 ** e - 1) * 64)] += count
    this.n += count
    if (ms > this.max) this.max = ms
  }

  q (p) { // milliseconds
    let left = this.n * p
    for (let i = 0; i < this.b.length; i++) {
      left -= this.b[i]
      if (left <= 0 && this.b[i]) return +((2 ** Math.floor(i / 64) * (1 + (i % 64 + 0.5) / 64)) / 1000).toFixed(3)
    }
    return null
  }

  report () { return this.n ? { p50: this.q(0.5), p99: this.q(0.99), p999: this.q(0.999), max: +this.max.toFixed(3) } : null }
}

const str = (s) => { const b = Buffer.from(s); return Buffer.concat([Buffer.from([b.length >> 8, b.length & 255]), b]) }
const frame = (type, ...parts) => {
  const body = Buffer.concat(parts)
  const head = [type]
  let len = body.length
  do { head.push((len & 127) | (len > 127 ? 128 : 0)); len >>= 7 } while (len)
  return Buffer.concat([Buffer.from(head), body])
}
export const connectFrame = (id, user = '', pass = '') => frame(0x10, str('MQTT'),
  Buffer.from([4, 2 | (user ? 0x80 : 0) | (pass ? 0x40 : 0), 0, 0]), str(id), user ? str(user) : Buffer.alloc(0), pass ? str(pass) : Buffer.alloc(0))
const subscribeFrame = (filter, qos) => frame(0x82, Buffer.from([0, 1]), str(filter), Buffer.from([qos]))
const publishFrame = (topic, qos, id, payload) =>
  frame(0x30 | (qos << 1), str(topic), qos ? Buffer.from([id >> 8, id & 255]) : Buffer.alloc(0), payload)

/** Splits a byte stream into packets: onPacket(firstByte, buffer, start of body, body length). */
function splitter (onPacket) {
  let rest = null
  return (chunk) => {
    const b = rest ? Buffer.concat([rest, chunk]) : chunk
    let i = 0
    while (b.length - i >= 2) {
      let len = 0; let mul = 1; let j = i + 1; let whole = false
      while (j < b.length && j < i + 5) {
        const x = b[j++]
        len += (x & 127) * mul
        mul *= 128
        if (x < 128) { whole = true; break }
      }
      if (!whole || j + len > b.length) break
      onPacket(b[i], b, j, len)
      i = j + len
    }
    rest = i < b.length ? Buffer.from(b.subarray(i)) : null
  }
}

const shared = Buffer.allocUnsafe(256 * 1024) // libuv reads and calls back in one go, so one buffer serves all

/** Connects, sends CONNECT, resolves with the socket after CONNACK; onPacket gets everything after it. */
export function open (o, id, onPacket, onAfter) {
  return new Promise((resolve, reject) => {
    let ready = false
    const feed = splitter((type, b, at, len) => {
      if (ready) return onPacket(type, b, at, len)
      if (type !== 0x20 || b[at + 1] !== 0) return reject(new Error(`${id}: refused, code ${b[at + 1]}`))
      ready = true
      resolve(sock)
    })
    const sock = net.connect({
      host: o.host,
      port: num(o.port.split(',')[0]),
      noDelay: true,
      onread: { buffer: shared, callback: (n, buf) => { feed(buf.subarray(0, n)); if (onAfter) onAfter(); return true } },
    }, () => sock.write(connectFrame(id, o.username, o.password)))
    sock.on('error', reject)
    sock.on('close', () => { if (!sock.done) { const e = new Error(`${id}: connection closed by server`); ready ? fail(e) : reject(e) } })
  })
}

let fail = (e) => { console.error(String(e)); process.exit(1) }

/** Opens in groups of 100, so that the listen backlog is never the limit. */
export async function openMany (count, one) {
  const all = []
  for (let i = 0; i < count; i += 100) {
    const part = []
    for (let k = i; k < Math.min(count, i + 100); k++) part.push(one(k))
    all.push(...await Promise.all(part))
  }
  return all
}

async function main (o) {
  const C = num(o.conns); const W = num(o.window); const N = num(o.n); const P = Math.max(8, num(o.payload))
  const qos = num(o.qos); const rate = num(o.rate); const S = num(o.subs); const M = Math.min(10, num(o.metrics)); const B = num(o.batch)
  const pids = o.pid ? o.pid.split(',') : []
  const stamped = S > 0
  const ack = new Hist(); const e2e = new Hist()
  let sent = 0; let acked = 0; let delivered = 0; let last = 0; let pongs = 0
  let finish
  const finished = new Promise((resolve, reject) => { finish = resolve; fail = reject })
  const check = () => {
    if (delivered >= S * N && (qos ? acked >= N : sent >= N && pongs === C)) { last = performance.now(); finish() }
  }

  // subscribers
  let subacks = 0; let subReady
  const subscribed = new Promise((resolve) => { subReady = resolve })
  const subs = await openMany(S, (k) => open(o, `sub-${k}`, (type, b, at, len) => {
    if (type === 0x90) { if (++subacks === S) subReady(); return }
    if (type >> 4 !== 3) return
    const q = (type >> 1) & 3
    const t = 2 + b.readUInt16BE(at)
    if (q) sock(k).write(Buffer.from([0x40, 2, b[at + t], b[at + t + 1]]))
    e2e.add(performance.now() - b.readDoubleLE(at + t + (q ? 2 : 0)))
    delivered++
  }, check))
  const sock = (k) => subs[k]
  for (const s of subs) s.write(subscribeFrame(o.filter, num(o.subqos)))
  if (S) await subscribed

  // publishers
  const text = Buffer.alloc(P, '{"t":21.53,"h":48.1,"unit":"C","seq":')
  const conns = []
  const ports = o.port.split(',')
  await openMany(C, async (k) => {
    const id = o.prefix + k
    const place = { ...o, port: ports[k % ports.length] }
    const slots = qos ? W : B
    const frames = []
    for (let i = 0; i < slots; i++) frames.push(publishFrame(o.topic.replaceAll('{id}', id).replaceAll('{m}', i % M), qos, i + 1, text))
    const size = frames[0].length
    const c = { buf: Buffer.concat(frames), size, at: new Float64Array(slots), due: [], dueHead: 0, free: Array.from({ length: slots }, (_, i) => i), freed: [], sock: null }
    c.sock = await open(place, id, (type, b, at) => {
      if (type === 0x40) c.freed.push(b.readUInt16BE(at) - 1)
      else if (type === 0xd0) { pongs++; check() }
    }, () => { if (c.freed.length) onAcks(c) })
    conns[k] = c
  })

  /** Sends the frames of the given slots, consecutive ones in one write. */
  function send (c, slots, now) {
    let i = 0
    if (slots.length > 1) c.sock.cork()
    while (i < slots.length) {
      let j = i
      do {
        c.at[slots[j]] = now
        if (stamped) c.buf.writeDoubleLE(now, (slots[j] + 1) * c.size - P)
        j++
      } while (j < slots.length && slots[j] === slots[j - 1] + 1)
      c.sock.write(c.buf.subarray(slots[i] * c.size, (slots[j - 1] + 1) * c.size))
      i = j
    }
    if (slots.length > 1) c.sock.uncork()
    sent += slots.length
  }

  function onAcks (c) {
    const now = performance.now()
    const slots = c.freed
    c.freed = []
    for (const s of slots) ack.add(now - c.at[s])
    acked += slots.length
    if (rate) {
      for (const s of slots) {
        if (c.dueHead < c.due.length) { send(c, [s], c.due[c.dueHead++]) } else c.free.push(s)
      }
    } else {
      const k = Math.min(slots.length, N - sent)
      if (k > 0) send(c, k < slots.length ? slots.slice(0, k) : slots, now)
    }
    check()
  }

  const before = pids.length ? procUsage(pids) : null
  const own = process.cpuUsage()
  const t0 = performance.now()
  let stop = false

  if (rate) { // open loop, 1 ms steps
    let n = 0
    const step = () => {
      const now = performance.now()
      const due = Math.min(N, Math.floor((now - t0) * rate / 1000))
      for (; n < due; n++) {
        const c = conns[n % C]; const at = t0 + n * 1000 / rate
        if (!qos) { const f = Buffer.from(c.buf.subarray(0, c.size)); f.writeDoubleLE(at, c.size - P); c.sock.write(f); sent++ } else if (c.free.length) send(c, [c.free.shift()], at)
        else c.due.push(at)
      }
      if (n < N && !stop) setTimeout(step, 1); else if (!qos) for (const c of conns) c.sock.write(Buffer.from([0xc0, 0]))
    }
    step()
  } else if (qos) {
    for (const c of conns) {
      const k = Math.min(W, N - sent)
      if (k > 0) send(c, c.free.slice(0, k), performance.now())
    }
  } else {
    // nothing but TCP slows this down: with --subs a broker may drop; measure fan-out with QoS 1 publishers
    const pump = (c) => {
      while (sent < N) {
        const k = Math.min(B, N - sent)
        let f = c.buf.subarray(0, k * c.size)
        if (stamped) { f = Buffer.from(f); const now = performance.now(); for (let i = 1; i <= k; i++) f.writeDoubleLE(now, i * c.size - P) }
        sent += k
        if (!c.sock.write(f)) { c.sock.once('drain', () => pump(c)); return }
      }
      if (!c.pinged) { c.pinged = true; c.sock.write(Buffer.from([0xc0, 0])) }
    }
    for (const c of conns) pump(c)
    for (const c of conns) pump(c) // those that never waited
  }

  let seen = -1; let since = performance.now(); let peak = 0
  const watch = setInterval(() => {
    const p = acked + delivered + sent
    if (pids.length) peak = Math.max(peak, procUsage(pids).rss)
    if (p !== seen) { seen = p; since = performance.now() } else if (performance.now() - since > num(o.wait) * 1000) { last = since; finish('stalled') }
  }, 100)
  const how = await finished
  clearInterval(watch)
  stop = true
  const seconds = (last - t0) / 1000
  const mine = process.cpuUsage(own)
  const after = pids.length ? procUsage(pids) : null
  const million = Math.max(1, N) / 1e6
  const out = {
    qos, conns: C, window: qos ? W : undefined, payload: P, rate: rate || undefined, subs: S || undefined,
    msgs: N, seconds: +seconds.toFixed(3), msgs_per_s: Math.round(N / seconds),
    puback_ms: ack.report() ?? undefined,
    delivered: S ? delivered : undefined, deliveries_per_s: S ? Math.round(delivered / seconds) : undefined, e2e_ms: e2e.report() ?? undefined,
    generator_cpu_s_per_million: +((mine.user + mine.system) / 1e6 / million).toFixed(2),
  }
  if (after) {
    out.server_cpu_s_per_million = +((after.cpu - before.cpu) / million).toFixed(2)
    out.server_rss_mib_before = +(before.rss / 2 ** 20).toFixed(1)
    out.server_rss_mib_peak = +(Math.max(peak, after.rss) / 2 ** 20).toFixed(1)
  }
  if (how) out.note = how
  console.log(JSON.stringify(out))
  for (const c of conns) { c.sock.done = true; c.sock.end(Buffer.from([0xe0, 0])) }
  for (const s of subs) { s.done = true; s.end(Buffer.from([0xe0, 0])) }
  setTimeout(() => process.exit(0), 50)
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values } = parseArgs({ options })
  if (values.help) {
    console.log('mqtt_load.mjs, flags and defaults:')
    for (const [k, v] of Object.entries(options)) console.log(`  --${k.padEnd(10)} ${v.default}`)
  } else await main(values)
}
