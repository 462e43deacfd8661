// Imports go down only; type imports obey too. A new file needs a floor.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const FLOORS = [
  ['scheduling', 'shared', 'telemetry', 'socket/elf', 'socket/kernel-defaults'],
  ['clock', 'counters', 'errors', 'rethrow'],
  ['socket/load-addon'],
  ['validate'],
  ['socket/binding'],
  [
    'sse/accept',
    'sse/encode',
    'socket/options',
    'socket/inspect',
    'socket/capabilities',
    'socket/batch',
  ],
  ['socket/saved-options', 'socket/diag', 'liveness/death', 'liveness/path'],
  ['liveness/plan'],
  ['liveness/stall-clock', 'liveness/observation'],
  ['liveness/observe', 'liveness/verdict'],
  ['liveness/kernel-clocks', 'liveness/row', 'liveness/watch'],
  ['liveness/kernel', 'liveness/watchers'],
  ['liveness/subject'],
  ['liveness/examiner', 'liveness/shared-options'],
  ['liveness/monitor'],
  ['monitors'],
  ['guard/http2-progress', 'guard/options'],
  ['guard/exchange', 'guard/inheritance'],
  ['guard/connection'],
  ['guard/guard-server'],
  ['port-guard/options', 'port-guard/connections', 'port-guard/holders'],
  ['port-guard/clients', 'port-guard/reading', 'port-guard/arming'],
  ['port-guard/kernel', 'port-guard/peer'],
  ['port-guard/guard-port'],
  [
    'stream/deferred',
    'stream/poll',
    'stream/abort',
    'stream/lane',
    'stream/states',
    'stream/source',
    'stream/unwatched',
  ],
  ['stream/admission', 'stream/delivery-log', 'stream/outlet', 'stream/echo-options'],
  ['stream/echo-registry', 'stream/echo-watch', 'stream/mute'],
  ['stream/queue'],
  ['stream/options', 'stream/close-info', 'stream/delivery'],
  ['stream/sender'],
  ['stream/transfer', 'stream/deadlines', 'stream/watch-over'],
  ['stream/event-stream', 'stream/farewell'],
  ['stream/news'],
  ['stream/live-stream'],
  ['stream/aging-stream', 'stream/roster'],
  ['stream/echo-stream'],
  ['stream/make-stream'],
  ['channel/history', 'channel/hub', 'channel/turns'],
  ['channel/members'],
  ['channel/broadcast'],
  ['channel/options'],
  ['channel/channel'],
  ['drain', 'metrics', 'adapters/head', 'adapters/fast-path', 'adapters/idle-timer'],
  ['adapters/outlet'],
  ['adapters/http1', 'adapters/http2', 'adapters/echo'],
  ['adapters/node'],
  ['adapters/express', 'adapters/fastify', 'adapters/koa', 'adapters/web-outlet'],
  ['adapters/web'],
  ['adapters/hono'],
  ['index', 'metric-table'],
  ['otel', 'prometheus'],
  ['testing/namespace', 'testing/peer', 'testing/listening', 'testing/routes', 'testing/reader'],
  ['testing/request', 'testing/server', 'testing/wiring'],
  ['testing/client', 'testing/clients'],
  ['testing/rig-client'],
  ['testing/rig'],
  ['testing/index'],
  ['dashboard/text', 'dashboard/options', 'dashboard/page'],
  ['dashboard/registry'],
  ['dashboard/look'],
  ['dashboard/watchers'],
  ['dashboard/index'],
  ['client/lines'],
  ['client/body'],
  ['client/live-fetch'],
  ['client/live-event-source'],
  ['client/index'],
  ['cli/arguments', 'cli/help', 'cli/io', 'cli/metrics-text', 'cli/table', 'cli/checks'],
  ['cli/guard', 'cli/top', 'cli/doctor'],
  ['cli/main'],
]

const src = fileURLToPath(new URL('../../src', import.meta.url))
const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.ts'),
)
const floorOf = (name: string): number => FLOORS.findIndex((floor) => floor.includes(name))

describe('the house', () => {
  for (const file of files) {
    const name = file.replace(/\.ts$/, '')
    const text = readFileSync(join(src, file), 'utf8')
    it(`${name} has a floor and imports lower ones only`, () => {
      expect(floorOf(name)).toBeGreaterThanOrEqual(0)
      for (const [, path = ''] of text.matchAll(/from '(\.[^']+)'/g)) {
        const target = relative(src, join(src, dirname(file), path)).replace(/\.js$/, '')
        expect(floorOf(target), `${name} imports ${target}`).toBeGreaterThanOrEqual(0)
        expect(floorOf(target), `${name} imports ${target}`).toBeLessThan(floorOf(name))
      }
    })
    if (name.startsWith('guard/')) {
      it(`${name} knows nothing of our own streams`, () => {
        expect(text).not.toMatch(/from '\.\.\/(stream|sse|adapters)\//)
      })
    }
    it(`${name} is at most 350 lines`, () => {
      expect(text.split('\n').length).toBeLessThanOrEqual(350)
    })
    // What browsers load has no Node beneath it.
    const schedules = name === 'scheduling' || name.startsWith('client/')
    it.runIf(!schedules)(`${name} leaves clocks and queues to scheduling`, () => {
      const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '')
      expect(code).not.toMatch(
        /(?<![.#\w'])(setTimeout|setInterval|setImmediate|queueMicrotask)\b|nextTick|performance\.now|Date\.now/,
      )
    })
    it.runIf(!['socket/binding', 'socket/load-addon'].includes(name))(
      `${name} reads no private field of Node and no addon`,
      () => {
        expect(text).not.toMatch(/\._[a-z]|\.node'/)
      },
    )
  }
})
