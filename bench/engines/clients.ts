// Many clients that reconnect with their last id, and record missing and repeated events, and gap
// events.
import net from 'node:net'
import { answer } from '../../src/testing/index.js'

export interface ClientsReport {
  /** Clients whose last number is this one or a greater one. */
  readonly there: number
  /** The number that all clients have reached. */
  readonly least: number
  readonly received: number
  readonly doubles: number
  readonly reconnects: number
  /** How many gap events clients received. */
  readonly told: number
  /** Numbers that a client did not see, with the count of such clients. */
  readonly missing: [number: number, clients: number][]
}

class Client {
  last = 0
  id: string | undefined
  received = 0
  doubles = 0
  reconnects = 0
  told = 0
  readonly #ports: readonly number[]
  #next: number
  #rest = ''

  constructor(ports: readonly number[], first: number) {
    this.#ports = ports
    this.#next = first
    this.#connect()
  }

  #connect(): void {
    const port = this.#ports[this.#next++ % this.#ports.length] as number
    const socket = net.connect(port, '127.0.0.1')
    this.#rest = ''
    socket.setEncoding('utf8')
    socket.on('error', () => {})
    socket.on('connect', () => {
      const resume = this.id === undefined ? '' : `Last-Event-ID: ${this.id}\r\n`
      socket.write(`GET / HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n${resume}\r\n`)
    })
    socket.on('data', (text: string) => this.#read(text))
    socket.on('close', () => {
      this.reconnects += 1
      setTimeout(() => this.#connect(), 50 + Math.random() * 200)
    })
  }

  #read(text: string): void {
    const blocks = (this.#rest + text).split('\n\n')
    this.#rest = blocks.pop() ?? ''
    for (const block of blocks) this.#event(block)
  }

  #event(block: string): void {
    const id = /^id: ?(.*)$/m.exec(block)?.[1]
    if (/^event: gap$/m.test(block)) this.told += 1
    const data = /^data: ?n(\d+)$/m.exec(block)?.[1]
    if (id !== undefined) this.id = id
    if (data === undefined) return
    const number = Number(data)
    this.received += 1
    if (number <= this.last) this.doubles += 1
    for (let each = this.last + 1; each < number; each++) {
      missing.set(each, (missing.get(each) ?? 0) + 1)
    }
    this.last = Math.max(this.last, number)
  }
}

const missing = new Map<number, number>()
const clients: Client[] = []
const sum = (of: (client: Client) => number): number =>
  clients.reduce((total, client) => total + of(client), 0)

answer({
  open(ports: number[], count: number) {
    for (let index = 0; index < count; index++) clients.push(new Client(ports, index))
  },
  /** How many clients have received the channel's position. */
  primed: () => sum(({ id }) => (id === undefined ? 0 : 1)),
  report: (last: number): ClientsReport => ({
    there: sum((client) => (client.last >= last ? 1 : 0)),
    least: Math.min(...clients.map((client) => client.last)),
    received: sum(({ received }) => received),
    doubles: sum(({ doubles }) => doubles),
    reconnects: sum(({ reconnects }) => reconnects),
    told: sum(({ told }) => told),
    missing: [...missing],
  }),
})
