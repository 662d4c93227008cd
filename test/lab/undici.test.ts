import { releases, type Version } from '../clients/undici-releases'
import { makeCertificate } from '../helpers/certificate'
import type { CommandLine } from '../helpers/command'
import { afterAllClosed, serveHttp } from '../helpers/http-runs'
import { labDescribe, type Need } from '../helpers/lab'
import { useNamespace, type Namespace } from '../helpers/namespace'
import { INSTALL_DEADLINE_MS, installNode } from '../helpers/node-release'
import type { Program } from '../helpers/program'
import { size } from '../helpers/size'

/** A port for each connection, so that every TIME_WAIT entry can be counted. */
const manyPorts = { 'net.ipv4.ip_local_port_range': '1024 65535' }

const REQUESTS = size('LAB_REQUESTS')
const FEW = Math.min(REQUESTS, 2_000)

/** Only the newest release runs at full size; the tests are the same. */
function atLength(version: Version): number {
  return version === releases.at(-1)?.version ? REQUESTS : Math.min(REQUESTS, 5_000)
}

/** The Node that runs the clients of releases for which the current one is too old. */
let later: CommandLine | undefined

interface ClientTask {
  version: Version
  port: number
  requests: number
  tuned?: boolean
  how?: 'agent' | 'client'
  ca?: string
}

/** Makes the requests, 32 at a time, and expects an answer to each. */
async function ask(namespace: Namespace, task: ClientTask): Promise<void> {
  const tooOld = releases.some(({ version, lacking }) => version === task.version && lacking)
  const client = await namespace.perform('undici-client', task, tooOld ? later : undefined)
  expect(client).toEqual({ answered: task.requests, errors: {}, warnings: [] })
}

/** Asserts that the server had one request on each connection, and no errors. */
async function expectNoErrors(server: Program, requests: number): Promise<void> {
  const seen = await afterAllClosed(server)
  expect(seen).toMatchObject({ connections: requests, requests, errors: {} })
}

/** One suite per release. If the current Node is too old for one, its client runs on a later Node. */
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

  it(`leaves no TIME_WAIT after ${String(requests)} requests if it closes, and the server has no error`, async () => {
    const { server, port } = await namespace().serve('patient-server')
    await ask(namespace(), { version, port, requests })
    await expectNoErrors(server, requests)
    expect(await namespace().timeWaits({ remotePort: port })).toBe(0)
    expect(await namespace().timeWaits({ localPort: port })).toBe(0)
  })

  it('leaves no TIME_WAIT if each client is closed after its answer', async () => {
    const { server, port } = await serveHttp(namespace())
    await ask(namespace(), { version, port, requests: FEW, how: 'client' })
    await expectNoErrors(server, FEW)
    expect(await namespace().timeWaits({ remotePort: port })).toBe(0)
  })

  it("leaves TIME_WAIT after each request with undici's own connector", async () => {
    const { server, port } = await namespace().serve('patient-server')
    await ask(namespace(), { version, port, requests: FEW, tuned: false })
    await expectNoErrors(server, FEW)
    expect(await namespace().timeWaits({ remotePort: port })).toBe(FEW)
  })
})

// A separate namespace, because the next server could use a port that a TIME_WAIT entry names as the client's.
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
  it('leaves no TIME_WAIT if it closes, and causes no error at the server', async () => {
    const requests = 1_000
    const certificate = makeCertificate()
    const { server, port } = await serveHttp(namespace(), { certificate })
    await ask(namespace(), { version, port, requests, how: 'client', ca: certificate.cert })
    await expectNoErrors(server, requests)
    expect(await namespace().timeWaits({ remotePort: port })).toBe(0)
  })
})
