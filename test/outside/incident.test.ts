// The incident in its own kind of stack: an ASGI application.
import { afterEach, expect, it } from 'vitest'
import { delay } from '../support/delay.js'
import { ASGI, ASGI_PROGRAMS } from './asgi.js'
import { describeOutside, missing } from './describe-outside.js'
import { CLIENTS, D, halfVanish } from './incident.js'
import { type Incident, open, PORT } from './open.js'
import { range, Scene } from './scene.js'

const CASES: readonly (Incident & { server: keyof typeof ASGI })[] = [
  { server: 'uvicorn', kind: 'idle', flags: ['--arm'] },
  { server: 'gunicorn', kind: 'idle', flags: ['--arm'] },
  { server: 'uvicorn', kind: 'ticks' },
  { server: 'gunicorn', kind: 'busy' },
  { server: 'uvicorn', kind: 'busy', first: 'never', flags: ['--arm'] },
  // The living ones read 16 KB a second: for them the window is shut nearly all the time.
  { server: 'uvicorn', kind: 'flood', rest: { bytes: 16_384, everyMs: 1_000 } },
]

let scene: Scene
afterEach(() => scene.close())

const absent = missing(...ASGI_PROGRAMS)
if (absent !== undefined && process.env.CI !== 'true')
  console.warn(`SKIPPED: test/outside: ${absent}`)
const run = absent !== undefined && process.env.CI !== 'true' ? it.skip : it

describeOutside('an ASGI application whose clients vanish', () => {
  for (const { server, ...incident } of CASES) {
    run(
      `under ${server}, ${incident.kind}${incident.first ? ', window shut' : ''}: the vanished are ended within D + 1 s, and no other client`,
      async () => {
        scene = new Scene()
        await halfVanish(scene, server, ASGI[server], incident)
      },
    )
  }

  run('keeps them all without a guard', async () => {
    scene = new Scene()
    await scene.serve(PORT, ASGI.uvicorn)
    await open(scene, { kind: 'ticks' }, CLIENTS)
    scene.rig.cut(range(0, CLIENTS / 2))
    await delay(D + 5_000)
    expect(scene.live(PORT)).toBe(CLIENTS)
  })
})
