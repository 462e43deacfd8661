// A guarded server and raw clients of it, and everything undone after the test.

import { readFileSync } from 'node:fs'
import type http from 'node:http'
import net from 'node:net'
import { type Guard, type GuardCloseInfo, type GuardOptions, guardServer } from '../../src/index.js'
import { sharedMonitor } from '../../src/liveness/monitor.js'
import { cleanup, undoAll } from '../support/cleanup.js'
import { waitFor } from '../support/wait-for.js'

/** For `afterEach`: ends all that the test has opened, last first, and waits until nothing is watched. */
export async function undo(): Promise<void> {
  undoAll()
  await waitFor('the end of all watches', () => sharedMonitor.size === 0)
}

export function later(action: () => void): void {
  cleanup.push(action)
}

export const pem = (name: 'key' | 'cert'): Buffer =>
  readFileSync(new URL(`../support/tls/${name}.pem`, import.meta.url))

/** Guards a server and keeps what it tells. */
export function guard(
  server: unknown,
  options: GuardOptions = {},
): { guard: Guard; closes: GuardCloseInfo[] } {
  const closes: GuardCloseInfo[] = []
  const made = guardServer(server as net.Server, {
    detectWithin: 4_000,
    onClose: (info) => void closes.push(info),
    ...options,
  })
  later(() => made.stop())
  return { guard: made, closes }
}

/** A client that sends a text and keeps what it gets. */
export class Client {
  readonly socket: net.Socket
  received = ''
  ended = false
  closed = false
  error: NodeJS.ErrnoException | undefined

  constructor(port: number, request = 'GET /events HTTP/1.1\r\nHost: x\r\n\r\n', read = true) {
    this.socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    this.socket.on('error', (error) => {
      this.error = error
    })
    this.socket.on('end', () => {
      this.ended = true
    })
    this.socket.on('close', () => {
      this.closed = true
    })
    if (read) this.socket.on('data', (chunk) => (this.received += chunk))
    this.socket.write(request)
    later(() => this.socket.destroy())
  }

  /** Waits until the text has arrived. */
  sees(text: string): Promise<unknown> {
    return waitFor(`'${text}'`, () => this.received.includes(text))
  }
}

/** Writes until neither the kernel nor Node's own limit takes more. */
export function fill(res: http.ServerResponse): void {
  for (let i = 0; i < 8 && !res.destroyed; i++) res.write(`data: ${'x'.repeat(1_000_000)}\n\n`)
}

export const SSE = { 'Content-Type': 'text/event-stream' }
