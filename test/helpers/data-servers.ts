/**
 * Database servers and brokers from Debian's packages, for the tests of their drivers. Each runs as an unprivileged
 * user, in a temporary folder, in the network namespace of a test.
 */
import { execFile } from 'node:child_process'
import { chownSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import * as path from 'node:path'
import { promisify } from 'node:util'
import { makeCertificate } from './certificate'
import type { Command, CommandLine } from './command'
import type { Namespace } from './namespace'
import { until } from './until'

export type DataServerName = 'postgresql' | 'mariadb' | 'redis' | 'mosquitto'

export interface DataServer {
  readonly port: number
  /** The folder with the server's unix-domain socket, if it has one. */
  readonly folder: string
  stop: () => Promise<void>
}

interface Recipe {
  readonly port: number
  /** A command that must end before the server is started. */
  prepare?: (folder: string) => CommandLine
  /** The files that the server reads, by their names in the folder. */
  files?: (folder: string) => Readonly<Record<string, string>>
  start: (folder: string) => CommandLine
  /** The signal that makes it close its connections and exit. */
  readonly end: NodeJS.Signals
}

const NOBODY = 65_534
const host = '127.0.0.1'
const execute = promisify(execFile)

const recipes: Readonly<Record<DataServerName, Recipe>> = {
  postgresql: {
    port: 5432,
    prepare: (folder) => [
      path.join(binariesOfPostgresql(), 'initdb'),
      ...['--pgdata', path.join(folder, 'data'), '--username', 'app', '--auth', 'trust'],
      ...['--no-sync', '--no-instructions', '--encoding', 'UTF8', '--locale', 'C'],
    ],
    start: (folder) => [
      path.join(binariesOfPostgresql(), 'postgres'),
      ...['-D', path.join(folder, 'data'), '-k', folder, '-h', host, '-F'],
      ...['-c', `hba_file=${path.join(folder, 'hba.conf')}`, '-c', 'shared_buffers=16MB'],
      ...['-c', 'ssl=on', '-c', `ssl_key_file=${path.join(folder, 'server.key')}`],
      ...['-c', `ssl_cert_file=${path.join(folder, 'server.crt')}`],
    ],
    files: () => {
      const { key, cert } = makeCertificate()
      const hba = 'local all all trust\nhost all all 127.0.0.0/8 trust\n'
      return { 'hba.conf': hba, 'server.key': key, 'server.crt': cert }
    },
    // Fast shutdown; SIGTERM would wait for the clients.
    end: 'SIGINT',
  },
  mariadb: {
    port: 3306,
    // Skips the tables of privileges, whose preparation takes 5 s.
    start: (folder) => [
      'mariadbd',
      ...['--no-defaults', `--datadir=${folder}`, '--skip-grant-tables', '--skip-name-resolve'],
      ...[`--socket=${path.join(folder, 'mariadb.sock')}`, `--bind-address=${host}`],
      ...['--port=3306', '--innodb-log-file-size=4M', '--innodb-buffer-pool-size=8M'],
      `--ssl-key=${path.join(folder, 'server.key')}`,
      `--ssl-cert=${path.join(folder, 'server.crt')}`,
    ],
    files: () => {
      const { key, cert } = makeCertificate()
      return { 'server.key': key, 'server.crt': cert }
    },
    end: 'SIGTERM',
  },
  redis: {
    port: 6379,
    start: (folder) => [
      'redis-server',
      ...['--bind', host, '--port', '6379', '--save', '', '--dir', folder],
      // By default it refuses all clients except 127.0.0.1.
      ...['--protected-mode', 'no', '--unixsocket', path.join(folder, 'redis.sock')],
    ],
    end: 'SIGTERM',
  },
  mosquitto: {
    port: 1883,
    files: () => ({ 'mosquitto.conf': `listener 1883 ${host}\nallow_anonymous true\n` }),
    start: (folder) => ['mosquitto', '-c', path.join(folder, 'mosquitto.conf')],
    end: 'SIGTERM',
  },
}

/** Starts a server and waits until it listens. */
export async function startDataServer(
  namespace: Namespace,
  name: DataServerName,
): Promise<DataServer> {
  const { port, prepare, files, start, end } = recipes[name]
  const folder = mkdtempSync(path.join(tmpdir(), `${name}-`))
  chownSync(folder, NOBODY, NOBODY)
  for (const [name, text] of Object.entries(files?.(folder) ?? {})) {
    const file = path.join(folder, name)
    writeFileSync(file, text, { mode: 0o600 })
    chownSync(file, NOBODY, NOBODY)
  }
  if (prepare !== undefined) {
    const [command, ...args] = asNobody(prepare(folder))
    await execute(command, args, { cwd: folder, env: { ...process.env, HOME: folder } })
  }
  const server = namespace.spawn(...asNobody(start(folder)))
  await listens(namespace, server, port)
  return {
    port,
    folder,
    stop: async () => {
      await server.stop(end)
      rmSync(folder, { recursive: true })
    },
  }
}

/** Debian installs it outside of PATH, because several releases may be installed. */
function binariesOfPostgresql(): string {
  const root = '/usr/lib/postgresql'
  const latest = Math.max(...readdirSync(root).map(Number).filter(Number.isInteger))
  return path.join(root, String(latest), 'bin')
}

function asNobody(command: CommandLine): CommandLine {
  const id = String(NOBODY)
  return ['setpriv', `--reuid=${id}`, `--regid=${id}`, '--clear-groups', '--', ...command]
}

async function listens(namespace: Namespace, server: Command, port: number): Promise<void> {
  await until(
    `it listens: ${server.output}`,
    () => namespace.run('ss', '-Hltn', `sport = :${String(port)}`),
    (sockets) => sockets.trim() !== '',
  )
}
