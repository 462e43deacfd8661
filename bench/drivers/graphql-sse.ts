// graphql-sse in "distinct connections" mode: each client's subscription is an async iterable that the handler pulls.
// It is handed over by `onSubscribe`, so GraphQL's own execution is not part of what is measured.
import http, { type ServerResponse } from 'node:http'
import type { ExecutionResult } from 'graphql'
import { createHandler } from 'graphql-sse/lib/use/http'
import { type Driver, listen, type Service, shut } from './driver.js'

/** One client's subscription: what was sent and not yet pulled. */
class Subscription {
  readonly #results: ExecutionResult[] = []
  readonly #taken: (() => void)[] = []
  #wake: (() => void) | undefined
  #onReturn: (() => void) | undefined
  /** Settles when the handler has pulled it. */
  send(data: string): Promise<void> {
    this.#results.push({ data: { event: data } })
    this.#wake?.()
    return new Promise((resolve) => void this.#taken.push(resolve))
  }

  onReturn(listener: () => void): void {
    this.#onReturn = listener
  }

  async *results(): AsyncGenerator<ExecutionResult> {
    try {
      for (;;) {
        const result = this.#results.shift()
        if (result === undefined) await new Promise<void>((resolve) => (this.#wake = resolve))
        else {
          this.#taken.shift()?.()
          yield result
        }
      }
    } finally {
      this.#onReturn?.()
    }
  }
}

export const driver: Driver<Subscription> = {
  async serve(host) {
    const handles = new Set<Subscription>()
    const handle = createHandler<{ res: ServerResponse }>({
      onSubscribe: (req) => {
        const { res } = req.context
        const subscription = new Subscription()
        handles.add(subscription)
        res.on('close', () => handles.delete(subscription))
        return subscription.results()
      },
    })
    const server = http.createServer((req, res) => {
      handle(req, res).catch(() => res.destroy())
    })
    const port = await listen(server, host)
    return {
      port,
      server,
      path: `/?query=${encodeURIComponent('subscription { event }')}`,
      handles,
      forms: ['awaited'],
      broadcast(data) {
        for (const subscription of handles) void subscription.send(data)
      },
      send: (subscription, data) => subscription.send(data),
      onClose: (subscription, listener) => subscription.onReturn(() => listener()),
      close: () => shut(server),
    } satisfies Service<Subscription>
  },
}
