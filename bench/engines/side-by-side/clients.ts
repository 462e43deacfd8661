// All clients of a contestant. They do as little as possible for each message.
import net from 'node:net'
import { WebSocket } from 'ws'
import { answer } from '../../../src/testing/index.js'

/** By message: how many clients have it, and when the last of them got it, ms since the epoch. */
const arrivals = new Map<number, { count: number; lastAt: number }>()
let open = 0

function read(text: string): void {
  for (const [, number] of text.matchAll(/"n":(\d+)/g)) {
    const n = Number(number)
    const arrival = arrivals.get(n) ?? { count: 0, lastAt: 0 }
    arrival.count += 1
    arrival.lastAt = performance.timeOrigin + performance.now()
    arrivals.set(n, arrival)
  }
}

function connectStream(port: number): void {
  const socket = net.connect(port, '127.0.0.1')
  let rest = ''
  socket.setEncoding('utf8')
  socket.on('connect', () => {
    open += 1
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n')
  })
  socket.on('data', (data: string) => {
    const text = rest + data
    const end = text.lastIndexOf('\n\n') + 1
    rest = text.slice(end)
    read(text.slice(0, end))
  })
}

/** Engine.IO 4 and Socket.IO 5 as documented: open, connect to the main namespace, answer pings. */
function connectSocketIo(port: number): void {
  const url = `ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket`
  const socket = new WebSocket(url, { perMessageDeflate: false })
  socket.on('message', (data: Buffer) => {
    const text = data.toString()
    if (text.startsWith('0')) socket.send('40')
    else if (text.startsWith('40')) open += 1
    else if (text === '2') socket.send('3')
    else read(text)
  })
}

answer({
  async open(kind: 'sse' | 'socket.io', ports: number[], count: number) {
    for (let n = 0; n < count; n++) {
      const connect = kind === 'sse' ? connectStream : connectSocketIo
      connect(ports[n % ports.length] as number)
      if (n % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 20))
    }
  },
  connected: () => open,
  arrivals: () => [...arrivals],
})
