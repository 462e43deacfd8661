// The sending side of the delivery proof: random events, and a record of where each ends on the wire.

import http from 'node:http'
import { createEventStream, type DeliveryOutcome, type EventInput } from '../../src/index.js'
import { answer } from '../../src/testing/index.js'
import { FIRST_CHUNK } from './chunked.js'
import { listenOn } from './ports.js'

/** What the server says of one stream, and what it sent. */
export interface Account {
  address: string
  reason: string | undefined
  deliveredId: string | undefined
  deliveredEvents: number
  deliveredBytes: number
  undeliveredIds: string[]
  undeliveredEvents: number
  overflowed: boolean
  /** Where each event ends in the body as it is on the wire, by event number. Reckoned here, not by the library. */
  ends: number[]
  confirmed: Record<string, DeliveryOutcome>
  transfer: string | undefined
  sent: number
}

const accounts: Account[] = []
let problems = 0
process.on('unhandledRejection', () => problems++)
process.on('uncaughtException', () => problems++)
process.on('warning', () => problems++)

function serve(req: http.IncomingMessage, res: http.ServerResponse): void {
  if (req.url === '/plain') {
    res.end('x'.repeat(1 + Math.floor(Math.random() * 5_000)))
    return
  }
  const account: Account = {
    address: String(req.socket.remoteAddress),
    reason: undefined,
    deliveredId: undefined,
    deliveredEvents: -1,
    deliveredBytes: -1,
    undeliveredIds: [],
    undeliveredEvents: -1,
    overflowed: false,
    ends: [],
    confirmed: {},
    transfer: undefined,
    sent: 0,
  }
  accounts.push(account)
  const stream = createEventStream(req, res, { detectWithin: 4_000, heartbeat: false })
  // The empty comment that goes with the head, as a chunk: it is part of the head.
  let end = FIRST_CHUNK
  async function* events(): AsyncGenerator<EventInput> {
    for (let number = 0; ; number++) {
      if (Math.random() < 0.7)
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 30))
      const size = Math.floor(Math.random() < 0.8 ? Math.random() * 300 : Math.random() * 20_000)
      const event = { id: String(number), data: 'x'.repeat(size) }
      const length = `id: ${number}\ndata: ${event.data}\n\n`.length
      end += length.toString(16).length + 2 + length + 2
      account.ends.push(end)
      if (number % 7 === 3) {
        void stream.delivery(event.id).then(() => {})
        setTimeout(() => {
          void stream.delivery(event.id).then((outcome) => {
            account.confirmed[event.id] = outcome
          })
        }, 1)
      }
      yield event
    }
  }
  void stream.sendAll(events()).then(({ reason, sent }) => {
    account.transfer = reason
    account.sent = sent
  })
  void stream.closed.then(({ reason, delivered, undelivered }) => {
    account.reason = reason
    account.deliveredId = delivered?.id
    account.deliveredEvents = delivered?.events ?? -1
    account.deliveredBytes = delivered?.bytes ?? -1
    account.undeliveredIds = [...(undelivered?.ids ?? [])]
    account.undeliveredEvents = undelivered?.events ?? -1
    account.overflowed = undelivered?.overflowed ?? false
  })
}

answer({
  listen: () => listenOn(http.createServer(serve), '0.0.0.0'),
  /** The last event may have been pulled and not taken. */
  accounts: (): Account[] =>
    accounts
      .splice(0)
      .map((account) => ({ ...account, ends: account.ends.slice(0, account.sent) })),
  open: () => accounts.filter(({ reason }) => reason === undefined).length,
  count: () => accounts.length,
  problems: () => problems,
})
