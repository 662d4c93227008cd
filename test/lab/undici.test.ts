import { releases, type Version } from '../clients/undici-releases'
import { makeCertificate } from '../helpers/certificate'
import type { CommandLine } from '../helpers/command'
import { afterAllClosed, serveHttp } from '../helpers/http-runs'
import { labDescribe, type Need } from '../helpers/lab'
import { useNamespace, type Namespace } from '../helpers/namespace'
import { INSTALL_DEADLINE_MS, installNode } from '../helpers/node-release'
import type { Program } from '../helpers/program'
import { size } from '../helpers/size'

/** Every TIME_WAIT entry is to be counted, so there must be a port for each connection. */
const manyPorts = { 'net.ipv4.ip_local_port_range': '1024 65535' }

const REQUESTS = size('LAB_REQUESTS')
const FEW = Math.min(REQUESTS, 2_000)

/** More under the newest release at full size, fewer under the others: what is tested is the same. */
function atLength(version: Version): number {
  return version === releases.at(-1)?.version ? REQUESTS : Math.min(REQUESTS, 5_000)
}

/** What runs the clients of a release that this Node is too old for. */
let later: CommandLine | undefined

interface ClientTask {
  version: Version
  port: number
  requests: number
  tuned?: boolean
  how?: 'agent' | 'client'
  ca?: string
}

/** Makes the requests, 32 at a time; all are to be answered. */
async function ask(namespace: Namespace, task: ClientTask): Promise<void> {
  const tooOld = releases.some(({ version, lacking }) => version === task.version && lacking)
  const client = await namespace.perform('undici-client', task, tooOld ? later : undefined)
  expect(client).toEqual({ answered: task.requests, errors: {}, warnings: [] })
}

/** That the server had no trouble with the connections, each of which had one request. */
async function expectNoErrors(server: Program, requests: number): Promise<void> {
  const seen = await afterAllClosed(server)
  expect(seen).toMatchObject({ connections: requests, requests, errors: {} })
}

/** A suite for each release; where this Node is too old for one, the client runs on a later one. */
function labReleases(
  what: string,
  needs: readonly Need[],
  suite: (version: Version, namespace: () => Namespace) => void,
): void {
  for (const { version, lacking } of releases) {
    labDescribe(`undici ${String(version)} ${what}`, needs, () => {
      if (lacking !== undefined) {
        beforeAll(async () => {
          later ??= [await installNode('24')]
        }, INSTALL_DEADLINE_MS)
      }
      suite(version, useNamespace(manyPorts))
    })
  }
}

labReleases('with one request per connection', ['root', 'ip'], (version, namespace) => {
  const requests = atLength(version)

  it(`leaves no TIME_WAIT after ${String(requests)} where it closes, and the server has no error`, async () => {
    const { server, port } = await namespace().serve('patient-server')
    await ask(namespace(), { version, port, requests })
    await expectNoErrors(server, requests)
    expect(await namespace().timeWaits({ remotePort: port })).toBe(0)
    expect(await namespace().timeWaits({ localPort: port })).toBe(0)
  })

  it('leaves none where each client is closed after its answer', async () => {
    const { server, port } = await serveHttp(namespace())
    await ask(namespace(), { version, port, requests: FEW, how: 'client' })
    await expectNoErrors(server, FEW)
    expect(await namespace().timeWaits({ remotePort: port })).toBe(0)
  })

  it('leaves one for each as undici makes its connections', async () => {
    const { server, port } = await namespace().serve('patient-server')
    await ask(namespace(), { version, port, requests: FEW, tuned: false })
    await expectNoErrors(server, FEW)
    expect(await namespace().timeWaits({ remotePort: port })).toBe(FEW)
  })
})

// In a namespace of its own: a client's port that a server's TIME_WAIT names could be the next server's.
labReleases('with a server that closes too', ['root', 'ip'], (version, namespace) => {
  const requests = atLength(version)

  it(`leaves TIME_WAIT after at most 1 % of ${String(requests)} requests`, async () => {
    const { server, port } = await serveHttp(namespace())
    await ask(namespace(), { version, port, requests })
    await expectNoErrors(server, requests)
    const count = await namespace().timeWaits({ remotePort: port })
    expect(count).toBeLessThanOrEqual(requests / 100)
  })
})

labReleases('over TLS', ['root', 'ip', 'openssl'], (version, namespace) => {
  it('leaves no TIME_WAIT where it closes, and the server has no error', async () => {
    const requests = 1_000
    const certificate = makeCertificate()
    const { server, port } = await serveHttp(namespace(), { certificate })
    await ask(namespace(), { version, port, requests, how: 'client', ca: certificate.cert })
    await expectNoErrors(server, requests)
    expect(await namespace().timeWaits({ remotePort: port })).toBe(0)
  })
})
