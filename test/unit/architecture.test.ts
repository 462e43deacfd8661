// Imports go down only, from room to room, and never in a circle. Type imports obey too.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

/** The rooms of src, from the ground up, and the lower ones that each may import. docs/design.md says what lives there. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  internal: [],
  native: ['internal'],
  tcp: ['native', 'internal'],
  liveness: ['tcp', 'native', 'internal'],
  sse: ['internal'],
  transport: ['sse', 'liveness', 'tcp', 'native', 'internal'],
  stream: ['transport', 'liveness', 'sse', 'tcp', 'internal'],
  hub: ['internal'],
  channel: ['hub', 'stream', 'transport', 'sse', 'internal'],
  guard: ['liveness', 'tcp', 'native', 'internal'],
  'port-guard': ['liveness', 'tcp', 'native', 'internal'],
  lifecycle: ['channel', 'stream', 'sse', 'internal'],
  observability: ['channel', 'hub', 'stream', 'guard', 'internal'],
  adapters: ['stream', 'transport', 'native', 'internal'],
  cli: ['port-guard', 'liveness', 'tcp', 'native', 'internal'],
  testing: ['hub', 'internal'],
  dashboard: ['adapters', 'observability', 'channel', 'stream', 'liveness', 'sse', 'internal'],
  // What browsers load: nothing of ours, and nothing of Node.
  client: [],
}
/** The package's entry exports what users may import, from any room. */
const ENTRY = 'index'
/** The only files that may call the addon or read Node's private fields. */
const ADDON = ['native/binding', 'native/load-addon']

const src = fileURLToPath(new URL('../../src', import.meta.url))
const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.ts'),
)
const names = files.map((file) => file.replace(/\.ts$/, ''))
const textOf = (name: string): string => readFileSync(join(src, `${name}.ts`), 'utf8')
const roomOf = (name: string): string => name.split('/')[0] as string
const importsOf = (name: string): string[] =>
  [...textOf(name).matchAll(/from '(\.[^']+)'/g)].map(([, path = '']) =>
    relative(src, join(src, dirname(name), path)).replace(/\.js$/, ''),
  )

/** The first circle of imports that is found from a file on, or nothing. */
function circleFrom(
  name: string,
  path: readonly string[],
  done: Set<string>,
): string[] | undefined {
  if (path.includes(name)) return [...path.slice(path.indexOf(name)), name]
  if (done.has(name)) return undefined
  for (const target of importsOf(name)) {
    const circle = circleFrom(target, [...path, name], done)
    if (circle !== undefined) return circle
  }
  done.add(name)
  return undefined
}

describe('the house', () => {
  it('has no circle of imports', () => {
    const done = new Set<string>()
    for (const name of names) expect(circleFrom(name, [], done)).toBeUndefined()
  })

  it('has every room of the table, and no other', () => {
    const rooms = new Set(names.filter((name) => name !== ENTRY).map(roomOf))
    expect([...rooms].sort()).toEqual(Object.keys(ROOMS).sort())
  })

  for (const name of names) {
    const text = textOf(name)
    it.runIf(name !== ENTRY)(`${name} imports from the rooms below it only`, () => {
      const room = roomOf(name)
      for (const target of importsOf(name)) {
        const allowed = [room, ...(ROOMS[room] ?? [])]
        expect(allowed, `${name} imports ${target}`).toContain(roomOf(target))
      }
    })
    it(`${name} is at most 350 lines`, () => {
      expect(text.trimEnd().split('\n').length).toBeLessThanOrEqual(350)
    })
    // What browsers load has no Node beneath it.
    const schedules = name === 'internal/scheduling' || name.startsWith('client/')
    it.runIf(!schedules)(`${name} leaves clocks and queues to scheduling`, () => {
      const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '')
      expect(code).not.toMatch(
        /(?<![.#\w'])(setTimeout|setInterval|setImmediate|queueMicrotask)\b|nextTick|performance\.now|Date\.now/,
      )
    })
    it.runIf(!ADDON.includes(name))(`${name} reads no private field of Node and no addon`, () => {
      expect(text).not.toMatch(/\._[a-z]|\.node'/)
    })
  }
})
