// Sigstore's own verifier on a bundle of ours: `node verify.cjs MODULES BUNDLE PUBLIC_KEY` ends with 0 if it accepts the
// bundle, with 1 if it refuses it. Prints the statement's subjects.
//
// The trusted root is private and empty: no certificate authority and no log is believed, only the key.
'use strict';
const { readFileSync } = require('node:fs');
const { createHash, createPublicKey } = require('node:crypto');
const { createRequire } = require('node:module');

const [modules, bundleFile, keyFile] = process.argv.slice(2);
const load = createRequire(`${modules}/package.json`);
const { bundleFromJSON } = load('@sigstore/bundle');
const { Verifier, toSignedEntity, toTrustMaterial } = load('@sigstore/verify');

const key = createPublicKey(readFileSync(keyFile));
const der = key.export({ type: 'spki', format: 'der' });
const expected = createHash('sha256').update(der).digest('base64');
const root = { tlogs: [], certificateAuthorities: [], ctlogs: [], timestampAuthorities: [] };
const keys = (hint) => {
  if (hint !== expected) throw new Error(`the bundle names another key: ${hint}`);
  return { publicKey: key, validFor: () => true };
};

try {
  const bundle = bundleFromJSON(JSON.parse(readFileSync(bundleFile, 'utf8')));
  const verifier = new Verifier(toTrustMaterial(root, keys), { tlogThreshold: 0, ctlogThreshold: 0, tsaThreshold: 0 });
  verifier.verify(toSignedEntity(bundle));
  const statement = JSON.parse(bundle.content.dsseEnvelope.payload);
  for (const subject of statement.subject) console.log(`${subject.name} ${subject.digest.sha256}`);
} catch (error) {
  console.error(`refused: ${error.message}`);
  process.exitCode = 1;
}
