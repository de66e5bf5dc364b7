// A bad network in user space: a UDP relay on loopback between browsers and the server. Each direction is a link of its
// own: a rate with a bounded queue, then loss, then delay. What is random comes from a seed: runs can be repeated.
import { createSocket } from 'node:dgram';

// mulberry32: small, good enough, and the same numbers everywhere
function random(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const zero = () => ({ packets: 0, bytes: 0, lost: 0, dropped: 0, queued: 0, late: 0, peak: 0 });

/* One direction. Options, all of them changeable while it runs (`set`):
 *   loss 0..1; delay ms; jitter ms, added evenly from 0 to it; reorder: jittered packets may overtake (else they wait)
 *   overtake 0..1: so many packets are held back `hold` ms longer, and others pass
 *   rate bit/s (0: no limit), queue bytes: what does not fit into it is dropped
 * Counters: packets and bytes that came, lost by chance, dropped by the full queue; queued: the most bytes in the queue;
 * late: the most ms by which our own timer was late; peak: the most bytes that came within 5 ms. */
class Link {
  constructor(options, seed, send) {
    this.options = { loss: 0, delay: 0, jitter: 0, reorder: false, overtake: 0, hold: 5, rate: 0, queue: 100000, ...options };
    this.random = random(seed);
    this.send = send;
    this.free = 0;       // when the link has sent all that is in its queue
    this.latest = 0;     // when the last one was due
    this.heap = [];      // [due, number, data, to], sorted; few enough to insert from behind
    this.number = 0;
    this.timer = null;
    this.recent = [];
    this.count = zero();
  }

  take(data, to) {
    const o = this.options, c = this.count, now = performance.now();
    c.packets++;
    c.bytes += data.length;
    this.measure(now, data.length);
    let due = now;
    if (o.rate) {
      const bytes = Math.max(0, this.free - now) * o.rate / 8000 + data.length + 28;   // IP and UDP count too
      if (bytes > o.queue) return void c.dropped++;
      c.queued = Math.max(c.queued, Math.round(bytes));
      due = this.free = now + bytes * 8000 / o.rate;
    }
    if (o.loss && this.random() < o.loss) return void c.lost++;
    due += o.delay + (o.jitter ? this.random() * o.jitter : 0);
    if (o.overtake && this.random() < o.overtake) due += o.hold;
    else if (!o.reorder) due = this.latest = Math.max(this.latest, due);
    if (due <= now) return void this.send(data, to);
    let at = this.heap.length;
    while (at > 0 && this.heap[at - 1][0] > due) at--;
    this.heap.splice(at, 0, [due, this.number++, data, to]);
    if (at === 0) this.arm();
  }

  measure(now, n) {
    this.recent.push([now, n]);
    while (this.recent[0][0] < now - 5) this.recent.shift();
    this.count.peak = Math.max(this.count.peak, this.recent.reduce((sum, [, size]) => sum + size, 0));
  }

  // Node's timers count whole milliseconds: what is due within half of one leaves now.
  arm() {
    clearTimeout(this.timer);
    this.timer = this.heap.length ? setTimeout(() => this.flush(), Math.max(1, this.heap[0][0] - performance.now())) : null;
  }

  flush() {
    const now = performance.now();
    let n = 0;
    while (n < this.heap.length && this.heap[n][0] <= now + 0.5) n++;
    if (n) this.count.late = Math.max(this.count.late, Math.round(now - this.heap[0][0]));
    for (const [, , data, to] of this.heap.splice(0, n)) this.send(data, to);
    this.arm();
  }

  set(options) {
    Object.assign(this.options, options);
  }

  reset() {
    const was = this.count;
    this.count = zero();
    return was;
  }

  toString() {
    const c = this.count;
    return `${c.packets} packets, lost ${c.lost}, dropped ${c.dropped}, queue ${Math.round(c.queued / 1000)} kB`;
  }

  close() {
    clearTimeout(this.timer);
    this.heap = [];
  }
}

function bind() {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20, sendBufferSize: 1 << 20 });
  socket.on('error', () => {});   // a browser that is gone: ICMP
  return new Promise(up => socket.bind(0, '127.0.0.1', () => up(socket)));
}

/* Relays UDP to 127.0.0.1:`target`. `up` leads to the server, `down` to the browser. Every client address gets a socket
 * of its own towards the server, so that the server sees as many addresses as there are. */
export async function relay(target, { up = {}, down = {}, seed = 1 } = {}) {
  const front = await bind(), clients = new Map();
  let open = true;
  const toClient = new Link(down, seed * 2 + 1, (data, to) => open && front.send(data, to.port, to.address));
  const toServer = new Link(up, seed * 2, (data, socket) => open && socket.send(data, target, '127.0.0.1'));
  front.on('message', async (data, from) => {
    const name = `${from.address}:${from.port}`;
    if (!clients.has(name)) {
      clients.set(name, bind().then(socket => {
        socket.on('message', answer => toClient.take(answer, from));
        return socket;
      }));
    }
    toServer.take(data, await clients.get(name));
  });
  return {
    port: front.address().port,
    up: toServer,
    down: toClient,
    clients: () => clients.size,
    // The answer of a server, with one candidate: this relay.
    rewrite: sdp => {
      const lines = sdp.split('\r\n').filter(line => !/^a=(candidate:|end-of-candidates)/.test(line));
      const at = lines.findIndex(line => line.startsWith('m=')) + 1;
      lines.splice(lines[at]?.startsWith('c=') ? at + 1 : at, 0,
        `a=candidate:1 1 udp 2130706431 127.0.0.1 ${front.address().port} typ host`);
      return lines.join('\r\n');
    },
    close: async () => {
      open = false;
      toServer.close();
      toClient.close();
      front.close();
      for (const socket of clients.values()) (await socket).close();
      clients.clear();
    },
  };
}
