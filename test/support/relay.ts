// A TCP relay between a client library and an engine, with the faults of networks: what is held back, a path that swallows everything, another server behind
// the same address.
import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'

interface Pair {
  readonly client: net.Socket
  readonly server: net.Socket
}

export class Relay {
  target: number
  readonly #server = net.createServer((client) => this.#accept(client))
  readonly #pairs = new Set<Pair>()

  private constructor(target: number) {
    this.target = target
  }

  static async open(target: number): Promise<Relay> {
    const relay = new Relay(target)
    relay.#server.listen(0, '127.0.0.1')
    await once(relay.#server, 'listening')
    return relay
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get connections(): number {
    return this.#pairs.size
  }

  /** What clients of the present connections send is kept, and goes on when the returned function is called: also if they have gone. */
  holdRequests(): () => void {
    const pairs = [...this.#pairs]
    for (const { client, server } of pairs) {
      client.unpipe(server)
      client.pause()
      client.removeAllListeners('close')
    }
    return () => {
      for (const { client, server } of pairs) {
        client.on('close', () => server.destroy())
        client.pipe(server)
      }
    }
  }

  /** The present connections stay, and nothing more arrives in either direction. */
  blackHole(): void {
    for (const { client, server } of this.#pairs) {
      client.unpipe(server)
      server.unpipe(client)
      // Read, and thrown away.
      client.resume()
      server.resume()
    }
  }

  /** Answers of the present connections are lost, requests arrive. */
  loseAnswers(): void {
    for (const { client, server } of this.#pairs) {
      server.unpipe(client)
      server.resume()
    }
  }

  /** Resets the clients of the present connections. */
  reset(): void {
    for (const { client, server } of this.#pairs) {
      client.resetAndDestroy()
      server.destroy()
    }
  }

  /** Connections from now on go elsewhere; the present ones are reset. */
  moveTo(target: number): void {
    this.target = target
    this.reset()
  }

  close(): void {
    this.#server.close()
    this.reset()
  }

  #accept(client: net.Socket): void {
    const server = net.connect(this.target, '127.0.0.1')
    const pair = { client, server }
    this.#pairs.add(pair)
    for (const socket of [client, server]) socket.on('error', () => {})
    client.on('close', () => server.destroy())
    server.on('close', () => {
      client.destroy()
      this.#pairs.delete(pair)
    })
    client.pipe(server)
    server.pipe(client)
  }
}
