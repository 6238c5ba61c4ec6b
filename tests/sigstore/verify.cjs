// Sigstore's own verifier on a bundle of ours. `node verify.cjs MODULES BUNDLE PUBLIC_KEY` or, for a bundle that was signed
// without a key, `node verify.cjs MODULES BUNDLE TRUSTED_ROOT SUBJECT ISSUER` ends with 0 if it accepts the bundle, with 1 if
// it refuses it. Prints the statement's subjects.
//
// With a key the trusted root is private and empty: no certificate authority and no log is believed, only the key. Without
// one a certificate, its log, an entry of Rekor and a timestamp are asked for, once each.
'use strict';
const { readFileSync } = require('node:fs');
const { createHash, createPublicKey } = require('node:crypto');
const { createRequire } = require('node:module');

const [modules, bundleFile, trustFile, subject, issuer] = process.argv.slice(2);
const load = createRequire(`${modules}/package.json`);
const { bundleFromJSON } = load('@sigstore/bundle');
const { TrustedRoot } = load('@sigstore/protobuf-specs');
const { Verifier, toSignedEntity, toTrustMaterial } = load('@sigstore/verify');

const withKey = () => {
  const key = createPublicKey(readFileSync(trustFile));
  const der = key.export({ type: 'spki', format: 'der' });
  const expected = createHash('sha256').update(der).digest('base64');
  const root = { tlogs: [], certificateAuthorities: [], ctlogs: [], timestampAuthorities: [] };
  const keys = (hint) => {
    if (hint !== expected) throw new Error(`the bundle names another key: ${hint}`);
    return { publicKey: key, validFor: () => true };
  };
  return new Verifier(toTrustMaterial(root, keys), { tlogThreshold: 0, ctlogThreshold: 0, tsaThreshold: 0 });
};

const withCertificate = () => {
  const root = TrustedRoot.fromJSON(JSON.parse(readFileSync(trustFile, 'utf8')));
  return new Verifier(toTrustMaterial(root), { tlogThreshold: 1, ctlogThreshold: 1, tsaThreshold: 1 });
};

try {
  const bundle = bundleFromJSON(JSON.parse(readFileSync(bundleFile, 'utf8')));
  if (subject === undefined) withKey().verify(toSignedEntity(bundle));
  else withCertificate().verify(toSignedEntity(bundle), { subjectAlternativeName: subject, extensions: { issuer } });
  const statement = JSON.parse(bundle.content.dsseEnvelope.payload);
  for (const subject of statement.subject) console.log(`${subject.name} ${subject.digest.sha256}`);
} catch (error) {
  console.error(`refused: ${error.message}`);
  process.exitCode = 1;
}
