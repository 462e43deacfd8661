// The incident behind servers of other languages, where their compilers are installed: .ci/run does not install them,
// because each is larger than everything else together.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, it } from 'vitest'
import { describeOutside, missing } from './describe-outside.js'
import { halfVanish } from './incident.js'
import { type Incident, PORT } from './open.js'
import { Scene } from './scene.js'

const servers = fileURLToPath(new URL('./servers/', import.meta.url))
let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tcp-sse-runtimes-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

interface Runtime {
  readonly compiler: string
  /** Compiles the server; the command that runs it. */
  compile(): readonly string[]
  readonly incidents: readonly Incident[]
}

const RUNTIMES: Readonly<Record<string, Runtime>> = {
  go: {
    compiler: '/usr/bin/go',
    compile() {
      const program = join(folder, 'server')
      const env = { ...process.env, GOCACHE: join(folder, 'cache'), GOFLAGS: '-mod=mod' }
      execFileSync('/usr/bin/go', ['build', '-o', program, join(servers, 'server.go')], { env })
      return [program, `${PORT}`]
    },
    incidents: [
      { kind: 'idle', flags: ['--arm'] },
      { kind: 'ticks' },
      { kind: 'flood', rest: { bytes: 16_384, everyMs: 1_000 } },
    ],
  },
  java: {
    compiler: '/usr/bin/javac',
    compile() {
      execFileSync('/usr/bin/javac', ['-d', folder, join(servers, 'Server.java')])
      return ['/usr/bin/java', '-cp', folder, 'Server', `${PORT}`]
    },
    // The JDK's own server reads nothing while a response lasts: it learns of an end when it writes next.
    incidents: [{ kind: 'ticks' }, { kind: 'busy' }],
  },
}

let scene: Scene
afterEach(() => scene.close())

describeOutside('a server of another language whose clients vanish', () => {
  for (const [name, { compiler, compile, incidents }] of Object.entries(RUNTIMES)) {
    const absent = missing(compiler)
    if (absent !== undefined) console.warn(`SKIPPED: ${name}: ${absent}`)
    for (const incident of incidents) {
      it.skipIf(absent !== undefined)(
        `${name}, ${incident.kind}: the vanished are ended within D + 1 s, and no other client`,
        async () => {
          scene = new Scene()
          await halfVanish(scene, name, compile(), incident)
        },
      )
    }
  }
})
