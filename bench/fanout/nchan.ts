// nginx with the nchan module, a server in C. It makes the same broadcasts through its publisher
// endpoint, if Debian's package is installed.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { waitFor } from '../../test/support/wait-for.js'
import { Clients, type LoadReport } from '../load/clients.js'
import type { Trial } from './trials.js'

const NGINX = '/usr/sbin/nginx'
const MODULE = '/usr/lib/nginx/modules/ngx_nchan_module.so'
/** Clock ticks per second in proc(5), independent of HZ (USER_HZ). */
const USER_HZ = 100

/** CPU microseconds. */
interface Used {
  readonly user: number
  readonly system: number
}

/** Whether it can be measured here. */
export function nchanInstalled(): boolean {
  return existsSync(NGINX) && existsSync(MODULE)
}

/** One worker on one core; the measured rounds' CPU, as the kernel accounts it. */
export class Nchan {
  readonly #folder: string
  readonly #child: ChildProcess
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  readonly port: number

  private constructor(folder: string, child: ChildProcess, port: number) {
    this.#folder = folder
    this.#child = child
    this.port = port
  }

  static async start(core: string): Promise<Nchan> {
    const folder = mkdtempSync(join(tmpdir(), 'nchan-'))
    const port = await freePort()
    const file = join(folder, 'nginx.conf')
    writeFileSync(file, configuration(folder, port))
    const child = spawn('taskset', ['-c', core, NGINX, '-p', folder, '-c', file], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    const nchan = new Nchan(folder, child, port)
    await waitFor(
      'nginx',
      () =>
        nchan.broadcast('').then(
          () => true,
          () => false,
        ),
      5_000,
    )
    return nchan
  }

  /**
   * Settles when nginx has accepted the message. nginx sends it out before it answers the next
   * request.
   */
  broadcast(data: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const options = { port: this.port, method: 'POST', path: '/publish', agent: this.#agent }
      const request = http.request(options, (response) => {
        response.resume().on('end', () => resolve())
      })
      request.on('error', reject).end(data)
    })
  }

  /** Of the one process that serves (proc(5), stat: fields 14 and 15). */
  used(): Used {
    const stat = readFileSync(`/proc/${this.#child.pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const micros = (field: number): number => (Number(fields[field - 3]) / USER_HZ) * 1e6
    return { user: micros(14), system: micros(15) }
  }

  stop(): void {
    this.#agent.destroy()
    this.#child.kill('SIGKILL')
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** One trial of broadcasts. */
export async function measureNchan(
  { clients: count, rounds, bytes, gapMs }: Trial,
  cores: { server: string; load: string },
): Promise<Used & { load: LoadReport }> {
  const nchan = await Nchan.start(cores.server)
  try {
    const clients = await Clients.open(cores.load, nchan.port, count, '/subscribe')
    const data = 'x'.repeat(bytes)
    const run = async (times: number): Promise<void> => {
      for (let round = 0; round < times; round++) {
        await nchan.broadcast(data)
        await new Promise((resolve) => setTimeout(resolve, gapMs))
      }
    }
    await run(Math.ceil(rounds / 2))
    const before = nchan.used()
    await run(rounds)
    const after = nchan.used()
    const load = await clients.close()
    if (load.bytes < rounds * count * bytes) {
      throw new Error(`nchan: the clients have had ${load.bytes} bytes only`)
    }
    return { user: after.user - before.user, system: after.system - before.system, load }
  } finally {
    nchan.stop()
  }
}

/** One process, so that its accounting covers everything. It writes to its own folder only. */
function configuration(folder: string, port: number): string {
  return `
load_module ${MODULE};
daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
events { worker_connections 19000; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  keepalive_requests 1000000;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location = /publish { nchan_publisher; nchan_channel_id bench; nchan_message_buffer_length 1; }
    location = /subscribe { nchan_subscriber eventsource; nchan_channel_id bench; nchan_subscriber_first_message newest; }
  }
}
`
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}
