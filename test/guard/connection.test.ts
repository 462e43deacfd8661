// One connection with thousands of responses on it: what a step costs must not grow with their number.
import { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { Connection } from '../../src/guard/connection.js'
import type { Exchange } from '../../src/guard/exchange.js'
import { guardSettings } from '../../src/guard/options.js'
import type { GuardCloseInfo } from '../../src/index.js'
import { systemClock } from '../../src/internal/clock.js'
import { cleanup } from '../support/cleanup.js'

const MANY = 2_000

describe('a connection under guard with thousands of responses', () => {
  it('takes them and ends them at a cost that does not grow with their number', () => {
    const infos: GuardCloseInfo[] = []
    let asked = 0
    const connection = new Connection(
      new Socket(),
      guardSettings({ detectWithin: 10_000, maxAge: 1_000 }),
      undefined,
      (info) => void infos.push(info),
      () => {},
    )
    cleanup.push(() => connection.release())
    const openedAt = systemClock.now()
    const response = (): Exchange => {
      let over = false
      return {
        req: undefined,
        res: undefined,
        openedAt,
        url: '/',
        exclusive: false,
        get over() {
          asked += 1
          return over
        },
        begun: true,
        isEventStream: true,
        stalledFor: () => 0,
        discardUnread() {},
        end() {
          over = true
          return true
        },
      }
    }
    for (let i = 0; i < MANY; i++) connection.add(response())
    expect(connection.streams).toBe(MANY)
    connection.onSample(openedAt + 1_500, 0, 'alive', openedAt + 1_500)
    expect(infos.length).toBe(MANY)
    expect(connection.streams).toBe(0)
    // A pass over all of them for each would be some millions.
    expect(asked).toBeLessThan(20 * MANY)
  })
})
