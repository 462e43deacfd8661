// Clients that check that they get each event once and in order, over all of their connections.
import http from 'node:http'

/** The counts of all clients. */
export class Tally {
  events = 0
  lost = 0
  double = 0
  /** How many gap events clients received. */
  told = 0
  connections = 0
  /** Milliseconds from publishing to a client, a sample. */
  readonly delays: number[] = []
}

/** One client. After each end, it reconnects with its Last-Event-ID, to the next port. */
export class Viewer {
  /** The number of the last event that it has received. */
  last: number | undefined
  readonly #tally: Tally
  readonly #ports: () => number[]
  #turn: number
  #lastId = ''
  #request: http.ClientRequest | undefined
  #stopped = false
  #rest = ''

  constructor(tally: Tally, ports: () => number[], index: number) {
    this.#tally = tally
    this.#ports = ports
    this.#turn = index
    this.#connect()
  }

  stop(): void {
    this.#stopped = true
    this.#request?.destroy()
  }

  #connect(): void {
    if (this.#stopped) return
    const ports = this.#ports()
    const port = ports[this.#turn++ % Math.max(1, ports.length)]
    const headers = this.#lastId === '' ? {} : { 'last-event-id': this.#lastId }
    const request = http.get({ host: '127.0.0.1', port, headers, agent: false })
    this.#request = request
    this.#rest = ''
    let over = false
    const again = (): void => {
      if (over) return
      over = true
      setTimeout(() => this.#connect(), 50 + Math.random() * 200)
    }
    // A connection that was handed to a server just as it died is never answered.
    const unanswered = setTimeout(() => request.destroy(), 5_000)
    request.on('close', () => clearTimeout(unanswered))
    request.on('error', again)
    request.on('response', (response) => {
      clearTimeout(unanswered)
      this.#tally.connections += 1
      response.setEncoding('utf8')
      response.on('data', (text: string) => this.#read(text))
      response.on('error', again)
      response.on('close', again)
    })
  }

  #read(text: string): void {
    const blocks = (this.#rest + text).split('\n\n')
    this.#rest = blocks.pop() ?? ''
    for (const block of blocks) this.#take(block)
  }

  #take(block: string): void {
    let data: string | undefined
    let event = 'message'
    for (const line of block.split('\n')) {
      if (line.startsWith('id: ')) this.#lastId = line.slice(4)
      else if (line.startsWith('data: ')) data = line.slice(6)
      else if (line.startsWith('event: ')) event = line.slice(7)
    }
    if (event === 'gap') this.#tally.told += 1
    else if (data !== undefined) this.#count(JSON.parse(data) as { n: number; at: number })
  }

  #count({ n, at }: { n: number; at: number }): void {
    const { last } = this
    this.#tally.events += 1
    if (last !== undefined && n <= last) this.#tally.double += 1
    else if (last !== undefined) this.#tally.lost += n - last - 1
    if (last === undefined || n > last) this.last = n
    if (this.#tally.events % 50 === 0) this.#tally.delays.push(Date.now() - at)
  }
}
