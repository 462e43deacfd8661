// All connections of the guarded ports: their rows in the latest dump, and which ones were added
// and removed.
import type { Watchable } from '../liveness/watch.js'
import {
  cookieOf,
  type DiagRows,
  diagColumn,
  dumpSockets,
  idOf,
  type SocketId,
} from '../tcp/diag.js'
import { column } from '../tcp/record.js'

const TCP_LISTEN = 10
/**
 * ESTABLISHED, FIN_WAIT1, CLOSE_WAIT, LAST_ACK and CLOSING, in which data can be unanswered, and
 * LISTEN.
 */
const STATES = (1 << 1) | (1 << 4) | (1 << 8) | (1 << 9) | (1 << 11) | (1 << TCP_LISTEN)

/** A socket of another process. */
export class Connection implements Watchable {
  readonly id: SocketId
  readonly cookie: number
  /** When it was first seen, on the guard's clock. */
  readonly firstSeen: number
  /**
   * When the guard last dumped connections without seeing this one: it has existed since then at
   * most. For the connections of the first dump, the time of that dump.
   */
  readonly unseenAt: number
  /**
   * Whether it has ended, or its process has closed it. In the latter case the kernel ends it by
   * its own rules.
   */
  destroyed = false
  /** Its row in the latest dump. */
  row: number
  /** The latest dump that contains it. */
  dump: number
  /** The time of its latest sample. */
  sampledAt = Number.NEGATIVE_INFINITY
  /** Whether keepalive probes the peer according to the plan. */
  armed = false
  /**
   * The earliest time from which a silence of its peer counts, on the guard's clock. See
   * `readRow`.
   */
  silenceCountsFrom = Number.NEGATIVE_INFINITY
  /** Whether data was unanswered at the last sample, while it was not armed. */
  outstanding = false
  /** TCP_RTO_MAX_MS as set by the guard, in milliseconds; `undefined` before that. */
  retransmitMax: number | undefined

  constructor(
    id: SocketId,
    cookie: number,
    { firstSeen, unseenAt }: Pick<Connection, 'firstSeen' | 'unseenAt'>,
    row: number,
    dump: number,
  ) {
    this.id = id
    this.cookie = cookie
    this.firstSeen = firstSeen
    this.unseenAt = unseenAt
    this.row = row
    this.dump = dump
  }
}

/** A listening socket. */
export interface ListeningSocket {
  readonly id: SocketId
  readonly cookie: number
  readonly inode: number
}

/** The differences to the previous dump. */
export interface Changes {
  readonly arrived: readonly Connection[]
  readonly departed: readonly Connection[]
}

/** The connections of some ports, updated by each dump. */
export class Connections {
  readonly #ports: readonly number[]
  readonly #byCookie = new Map<number, Connection>()
  /** By row of the latest dump. The next dump usually has the same order. */
  #inOrder: (Connection | undefined)[] = []
  #dump = 0
  rows: DiagRows | undefined
  /** When the latest dump was complete, and how long it took, in milliseconds. */
  at = Number.NEGATIVE_INFINITY
  #took = 0
  listening: readonly ListeningSocket[] = []

  constructor(ports: readonly number[]) {
    this.#ports = ports
  }

  get size(): number {
    return this.#byCookie.size
  }

  [Symbol.iterator](): IterableIterator<Connection> {
    return this.#byCookie.values()
  }

  /** Whether the latest dump contains it. */
  has(connection: Connection): boolean {
    return connection.dump === this.#dump
  }

  /** The number in a column of the latest dump. */
  cell({ row }: Connection, column: number): number {
    const { numbers, width } = this.rows as DiagRows
    return numbers[row * width + column] as number
  }

  /**
   * When the connection's row in the latest dump was made, estimated from its place. With tens of
   * thousands of rows, a dump takes longer than the tolerance for differences between two samples
   * (`CLOCK_TOLERANCE`).
   */
  madeAt({ row }: Connection): number {
    const { count = 0 } = this.rows ?? {}
    return this.at - this.#took * (1 - row / Math.max(1, count))
  }

  /** @throws {TcpSseError} `ERR_SOCK_DIAG`; the state is then unchanged */
  refresh(clock: () => number): Changes {
    const startedAt = clock()
    const rows = dumpSockets(this.#ports, STATES, this.rows)
    const now = clock()
    const before = this.#dump === 0 ? now : this.at
    this.rows = rows
    this.at = now
    this.#took = now - startedAt
    this.#dump += 1
    const arrived: Connection[] = []
    const listening: ListeningSocket[] = []
    const { numbers, width } = rows
    for (let row = 0; row < rows.count; row++) {
      const start = row * width
      const inode = numbers[start + diagColumn.inode] as number
      // The connection was not accepted yet, or no process holds it any more, so no application
      // waits for its end.
      if (inode === 0) continue
      const cookie = cookieOf(rows, row)
      if (numbers[start + column.state] === TCP_LISTEN) {
        listening.push({ id: idOf(rows, row), cookie, inode })
        continue
      }
      const known = this.#find(cookie, row)
      if (known === undefined) {
        arrived.push(this.#add(cookie, row, { firstSeen: now, unseenAt: before }))
      } else if (!known.destroyed) {
        known.row = row
        known.dump = this.#dump
      }
    }
    this.listening = listening
    return { arrived, departed: this.#departed() }
  }

  #find(cookie: number, row: number): Connection | undefined {
    const likely = this.#inOrder[row]
    if (likely?.cookie === cookie) return likely
    const known = this.#byCookie.get(cookie)
    this.#inOrder[row] = known
    return known
  }

  #add(cookie: number, row: number, times: Pick<Connection, 'firstSeen' | 'unseenAt'>): Connection {
    const connection = new Connection(
      idOf(this.rows as DiagRows, row),
      cookie,
      times,
      row,
      this.#dump,
    )
    this.#byCookie.set(cookie, connection)
    this.#inOrder[row] = connection
    return connection
  }

  /** A dump can miss a connection while others are added and removed. Two dumps in a row do not. */
  #departed(): Connection[] {
    const departed: Connection[] = []
    for (const connection of this.#byCookie.values()) {
      if (connection.dump > this.#dump - 2 && !connection.destroyed) continue
      connection.destroyed = true
      this.#byCookie.delete(connection.cookie)
      departed.push(connection)
    }
    if (departed.length > 0)
      this.#inOrder = this.#inOrder.map((each) => (each?.destroyed ? undefined : each))
    this.#inOrder.length = Math.min(this.#inOrder.length, this.rows?.count ?? 0)
    return departed
  }
}
