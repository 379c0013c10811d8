CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE entries (
	number INTEGER NOT NULL, 
	at TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	release TEXT NOT NULL, 
	period TEXT NOT NULL, 
	revision INTEGER NOT NULL, 
	payload TEXT NOT NULL, 
	previous TEXT NOT NULL, 
	sha256 TEXT NOT NULL, 
	once TEXT, 
	PRIMARY KEY (number), 
	UNIQUE (previous), 
	UNIQUE (sha256), 
	UNIQUE (once)
);
CREATE TABLE artefacts (
	release TEXT NOT NULL, 
	period TEXT NOT NULL, 
	revision INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	sha256 TEXT NOT NULL, 
	content BLOB NOT NULL, 
	PRIMARY KEY (release, period, revision, kind)
);
CREATE TABLE subject_key (
	number INTEGER NOT NULL, 
	"check" TEXT NOT NULL, 
	PRIMARY KEY (number)
);
CREATE TABLE subject_requests (
	id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	population TEXT NOT NULL, 
	origin TEXT NOT NULL, 
	received TEXT NOT NULL, 
	recorded TEXT NOT NULL, 
	state TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	sealed BLOB, 
	fingerprint TEXT, 
	row_key TEXT, 
	applied TEXT, 
	outcome TEXT, 
	PRIMARY KEY (id), 
	UNIQUE (fingerprint), 
	UNIQUE (row_key)
);
CREATE TABLE tombstones (
	digest TEXT NOT NULL, 
	request TEXT NOT NULL, 
	population TEXT NOT NULL, 
	first TEXT, 
	last TEXT, 
	dimension_values TEXT NOT NULL, 
	made TEXT NOT NULL, 
	PRIMARY KEY (digest, request)
);
CREATE TABLE reviewer_accounts (
	name TEXT NOT NULL, 
	hash TEXT NOT NULL, 
	sealed TEXT NOT NULL, 
	created TEXT NOT NULL, 
	failures INTEGER NOT NULL, 
	locked_until TEXT, 
	PRIMARY KEY (name)
);
CREATE TABLE reviewer_tokens (
	number INTEGER NOT NULL, 
	account TEXT NOT NULL, 
	sha256 TEXT, 
	sealed BLOB, 
	made TEXT NOT NULL, 
	expires TEXT NOT NULL, 
	PRIMARY KEY (number), 
	UNIQUE (sha256)
);
CREATE TABLE reviewer_sessions (
	sha256 TEXT NOT NULL, 
	account TEXT NOT NULL, 
	began TEXT NOT NULL, 
	seen TEXT NOT NULL, 
	PRIMARY KEY (sha256)
);
CREATE TABLE reviewer_events (
	number INTEGER NOT NULL, 
	at TEXT NOT NULL, 
	account TEXT NOT NULL, 
	what TEXT NOT NULL, 
	about TEXT NOT NULL, 
	PRIMARY KEY (number)
);
CREATE TABLE entitlement_approvals (
	number INTEGER NOT NULL, 
	at TEXT NOT NULL, 
	reviewer TEXT NOT NULL, 
	sha256 TEXT NOT NULL, 
	content BLOB NOT NULL, 
	signature TEXT NOT NULL, 
	PRIMARY KEY (number)
);
CREATE TABLE recipient_tokens (
	number INTEGER NOT NULL, 
	recipient TEXT NOT NULL, 
	sha256 TEXT, 
	scopes TEXT NOT NULL, 
	label TEXT NOT NULL, 
	made TEXT NOT NULL, 
	expires TEXT NOT NULL, 
	revoked TEXT, 
	made_with INTEGER, 
	PRIMARY KEY (number), 
	UNIQUE (sha256)
);
CREATE TABLE recipient_sessions (
	sha256 TEXT NOT NULL, 
	token INTEGER NOT NULL, 
	began TEXT NOT NULL, 
	seen TEXT NOT NULL, 
	PRIMARY KEY (sha256)
);
CREATE TABLE downloads (
	number INTEGER NOT NULL, 
	at TEXT NOT NULL, 
	recipient TEXT NOT NULL, 
	way TEXT NOT NULL, 
	shelf TEXT NOT NULL, 
	product TEXT NOT NULL, 
	period TEXT NOT NULL, 
	file TEXT NOT NULL, 
	part TEXT NOT NULL, 
	token INTEGER, 
	revision INTEGER NOT NULL, 
	PRIMARY KEY (number)
);
CREATE TABLE recipient_events (
	number INTEGER NOT NULL, 
	at TEXT NOT NULL, 
	recipient TEXT NOT NULL, 
	what TEXT NOT NULL, 
	about TEXT NOT NULL, 
	PRIMARY KEY (number)
);
CREATE TABLE notices (
	id TEXT NOT NULL, 
	recipient TEXT NOT NULL, 
	channel TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	product TEXT NOT NULL, 
	period TEXT NOT NULL, 
	made TEXT NOT NULL, 
	state TEXT NOT NULL, 
	due TEXT NOT NULL, 
	problem TEXT NOT NULL, 
	revision INTEGER NOT NULL, 
	tries INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (recipient, channel, kind, product, period, revision)
);
CREATE TABLE webhook_secrets (
	number INTEGER NOT NULL, 
	recipient TEXT NOT NULL, 
	sha256 TEXT NOT NULL, 
	made TEXT NOT NULL, 
	ends TEXT, 
	PRIMARY KEY (number)
);
INSERT INTO "alembic_version" VALUES ('0004');
INSERT INTO "entries" VALUES (1, '2026-12-01T09:24:38+00:00', 'obeyed', 'subject_requests', '2026-12-01', 0, '{"periods":[],"requests":{"R-7SMG3M31":"erase","R-FKATR1MZ":"opt-out"}}', '0000000000000000000000000000000000000000000000000000000000000000', '9d25f24d8b5837f9ff7b0be2e936d1f02cbb14c3dbff74c5916e182c99322ebd', 'obeyed:subject_requests/2026-12-01/r0:187998899ae97033d5fb4cb1728ee80cf7c215ddf24c98810ae9e71df1b084c1');
INSERT INTO "entries" VALUES (2, '2026-12-01T09:24:48+00:00', 'reserved', 'weekly', '2026-W41', 1, '{"charge":{"counts":{"0.33333333333":1,"0.66666666666":1},"delta":1e-07,"gaussians":{},"infinite":false,"pure":{}},"period_end":"2026-10-12","period_start":"2026-10-05","population":"visitors","revises":"","specification_sha256":"28d4fcb4dc108a24c4d1590a85db15fa8f0152264189ac75e9c76557fcc6d868"}', '9d25f24d8b5837f9ff7b0be2e936d1f02cbb14c3dbff74c5916e182c99322ebd', '959b2c4e86d592750cd61dc9f8bbba264f44b2207b064615ec1619d6c45072f7', 'reserved:weekly/2026-W41/r1');
INSERT INTO "entries" VALUES (3, '2026-12-01T09:24:48+00:00', 'drawn', 'weekly', '2026-W41', 1, '{"artefact_sha256":"8120010ea5411a592d8d16800bfcec455cc03ceb8e02b37e7de492f8e8746e34","triggered_by":"root"}', '959b2c4e86d592750cd61dc9f8bbba264f44b2207b064615ec1619d6c45072f7', 'df2fcecb7dad94fdd728d14bc30fdcda55c3ead6fb2018f9876c9295c31d19d6', 'drawn:weekly/2026-W41/r1');
INSERT INTO "entries" VALUES (4, '2026-12-01T09:24:49+00:00', 'checked', 'weekly', '2026-W41', 1, '{"checks_sha256":"bbe28782fe4d1ae4e2d652d4efbeab97140c26c1d062f0bb062d077386a11cf3","number":1,"passed":true}', 'df2fcecb7dad94fdd728d14bc30fdcda55c3ead6fb2018f9876c9295c31d19d6', 'b9248858c60d09c4eb01ba3e4bfda9374a1a664a35eeb10830ae0ea06faf8677', NULL);
INSERT INTO "entries" VALUES (5, '2026-12-01T09:24:51+00:00', 'approved', 'weekly', '2026-W41', 1, '{"candidate_sha256":"1d1645adefa8f5af7b7c973cf82a287b70cb6b75d8fbb1a383ab06f042641ec7","checked":"b9248858c60d09c4eb01ba3e4bfda9374a1a664a35eeb10830ae0ea06faf8677","reason":"plausible","reviewer":"ana","scripted":false,"signature":"b081362c0573f0d67467f2833760feb76d942da5a15eeb8df4e94646c15f4e3e979191671afde2d452548569e4cbfd7a17d395c134bf19aed9638c53d92b100b"}', 'b9248858c60d09c4eb01ba3e4bfda9374a1a664a35eeb10830ae0ea06faf8677', 'aecb80554547c30fb2b10650189310b545808bdeb9fb802a007e8a715a9b638d', NULL);
INSERT INTO "entries" VALUES (6, '2026-12-01T09:24:52+00:00', 'signing', 'signing_keys', '', 0, '{"public_key":"RWS9iEuFqsWhNPvu8DziPPIcP7HjAzMGC/PJH75acUCJX3ymTZ4aBURK","what":"made"}', 'aecb80554547c30fb2b10650189310b545808bdeb9fb802a007e8a715a9b638d', 'bfcbbf859673fd782058319b15d3a291e374c01ad0683fa07ea61dd1a04b801f', 'signing:signing_keys//r0:d5ccf8272617a40e615999fda0d024fe8a4a95b2c1ee78268e9b1fe05e85ac3e');
INSERT INTO "entries" VALUES (7, '2026-12-01T09:24:53+00:00', 'signing', 'signatures', '', 0, '{"places":{"partner/weekly/2026-W41/r1":"ec39901d22bde17a6885b4a40e55c3ae095589000633db7e17866d02e647f01e"}}', 'bfcbbf859673fd782058319b15d3a291e374c01ad0683fa07ea61dd1a04b801f', 'e32729c7e9362c18ca147ad1f0ab866b17bab62f972473a0d280bd2c0f6690e2', 'signing:signatures//r0:653e8890efe22164acf2fb1a1b885f7ac82b944fb8afc2e3d842fdade844ebfd');
INSERT INTO "entries" VALUES (8, '2026-12-01T09:24:53+00:00', 'published', 'weekly', '2026-W41', 1, '{"candidate_sha256":"1d1645adefa8f5af7b7c973cf82a287b70cb6b75d8fbb1a383ab06f042641ec7","manifests":{"partner":"ec39901d22bde17a6885b4a40e55c3ae095589000633db7e17866d02e647f01e"}}', 'e32729c7e9362c18ca147ad1f0ab866b17bab62f972473a0d280bd2c0f6690e2', '954327d2b587fdbc7efb763b64c2eb4413336edbf58173c273f37b1ced1042a1', 'published:weekly/2026-W41/r1');
INSERT INTO "entries" VALUES (9, '2026-12-01T09:24:57+00:00', 'reserved', 'weekly', '2026-W42', 1, '{"charge":{"counts":{"0.33333333333":1,"0.66666666666":1},"delta":1e-07,"gaussians":{},"infinite":false,"pure":{}},"period_end":"2026-10-19","period_start":"2026-10-12","population":"visitors","revises":"","specification_sha256":"28d4fcb4dc108a24c4d1590a85db15fa8f0152264189ac75e9c76557fcc6d868"}', '954327d2b587fdbc7efb763b64c2eb4413336edbf58173c273f37b1ced1042a1', '080c765b3b3efb9d30bfbb1e6dfc8a0a822a9bf7d3643343b691d31212fba4d7', 'reserved:weekly/2026-W42/r1');
INSERT INTO "entries" VALUES (10, '2026-12-01T09:24:57+00:00', 'drawn', 'weekly', '2026-W42', 1, '{"artefact_sha256":"b957fd9f4de91124da04da590782c45bf8f266789ba73c3295b8d65832e67d9c","triggered_by":"root"}', '080c765b3b3efb9d30bfbb1e6dfc8a0a822a9bf7d3643343b691d31212fba4d7', '4c0c735e23d3c2bca827ea4315bd20b3ca88e448ab9631cbb7a555daba09619e', 'drawn:weekly/2026-W42/r1');
INSERT INTO "entries" VALUES (11, '2026-12-01T09:24:58+00:00', 'checked', 'weekly', '2026-W42', 1, '{"checks_sha256":"bbe28782fe4d1ae4e2d652d4efbeab97140c26c1d062f0bb062d077386a11cf3","number":1,"passed":true}', '4c0c735e23d3c2bca827ea4315bd20b3ca88e448ab9631cbb7a555daba09619e', '39765e201ed31be1081876faf36833b2d883a214c99556c9efda5c140ff79c3e', NULL);
INSERT INTO "entries" VALUES (12, '2026-12-01T09:24:59+00:00', 'rejected', 'weekly', '2026-W42', 1, '{"candidate_sha256":"1b32d1e9d9b15ef0eac35b85f6790229ecd7bca7d45df31572a47f5f41fa3634","checked":"39765e201ed31be1081876faf36833b2d883a214c99556c9efda5c140ff79c3e","reason":"incomplete","reviewer":"ana","scripted":false,"signature":"7dd53cf8a9251e6a1e55de25bb2f9b3ac360406d55f98db2cb1f071aa8ba9edab90dbb2c9c23cd58efa01924ea3fe2c77227d82a283d6ac915aa9bc2a03e6f06"}', '39765e201ed31be1081876faf36833b2d883a214c99556c9efda5c140ff79c3e', '345f17ae7b0b338d5fe6ff5af44df2d86ee856294b62be03b6fbd009ff1844ec', NULL);
INSERT INTO "entries" VALUES (13, '2026-12-01T09:25:02+00:00', 'reserved', 'weekly', '2026-W42', 2, '{"charge":{"counts":{"0.33333333333":1,"0.66666666666":1},"delta":1e-07,"gaussians":{},"infinite":false,"pure":{}},"period_end":"2026-10-19","period_start":"2026-10-12","population":"visitors","revises":"completed","specification_sha256":"28d4fcb4dc108a24c4d1590a85db15fa8f0152264189ac75e9c76557fcc6d868"}', '345f17ae7b0b338d5fe6ff5af44df2d86ee856294b62be03b6fbd009ff1844ec', '42f358d5484b0f949fd01fa66462560ac38d0c668af3d63479b971e3600aa31e', 'reserved:weekly/2026-W42/r2');
INSERT INTO "entries" VALUES (14, '2026-12-01T09:25:02+00:00', 'drawn', 'weekly', '2026-W42', 2, '{"artefact_sha256":"b59fd76178c55555ebeb441978cf90f1ccb10555241268a6bb126938651b4ee4","triggered_by":"root"}', '42f358d5484b0f949fd01fa66462560ac38d0c668af3d63479b971e3600aa31e', 'e48646c46e5ec44a266efceef0d4d60c26aed52abe75e28826e5966f6ff670e2', 'drawn:weekly/2026-W42/r2');
INSERT INTO "entries" VALUES (15, '2026-12-01T09:25:02+00:00', 'checked', 'weekly', '2026-W42', 2, '{"checks_sha256":"bbe28782fe4d1ae4e2d652d4efbeab97140c26c1d062f0bb062d077386a11cf3","number":1,"passed":true}', 'e48646c46e5ec44a266efceef0d4d60c26aed52abe75e28826e5966f6ff670e2', 'e486b4d627ed7302fe900a7c7be3cdf88101fb882fc08d399fe3b54ded1ca5b4', NULL);
INSERT INTO "entries" VALUES (16, '2026-12-01T09:25:05+00:00', 'signing', 'signatures', '', 0, '{"places":{"partner-f5f1c6aed6b0/weekly/2026-W41/r1":"4bb7fd454ba1aa3254862ea338d3080674fafa62c1a3469c84ad7f7f402047ef"}}', 'e486b4d627ed7302fe900a7c7be3cdf88101fb882fc08d399fe3b54ded1ca5b4', '8e53bfcc1fda82d5eb4613458d017976853b550f1e3eeb78a596eee9f19d7152', 'signing:signatures//r0:40b6d4de9f8961c120568cb122d7463b05b3d118c8e4e3209380592fa522e567');
INSERT INTO "entries" VALUES (17, '2026-12-01T09:25:06+00:00', 'approved', 'weekly', '2026-W42', 2, '{"candidate_sha256":"3804bdfc00423427d8be7f60b1c31a00d043df45936d8a82c81bc7e195aa49ff","checked":"e486b4d627ed7302fe900a7c7be3cdf88101fb882fc08d399fe3b54ded1ca5b4","reason":"completed","reviewer":"ana","scripted":false,"signature":"fc352b16467ef92c4daf48efbb318b838d057c161a47402b02e15921dc411dfcc358f7ffd95345177f1a8d1179306fdda2ea4f9a174fae2832b3ae6b9732400d"}', '8e53bfcc1fda82d5eb4613458d017976853b550f1e3eeb78a596eee9f19d7152', '57ab429a2bb52369c65afe64be3f7f3827b9983e2de8bc3439a101f07807a609', NULL);
INSERT INTO "entries" VALUES (18, '2026-12-01T09:25:08+00:00', 'signing', 'signatures', '', 0, '{"places":{"partner-f5f1c6aed6b0/weekly/2026-W42/r2":"ac6551901d0a16957d242f2a9f3283af3558c70ec0cc95c2d8fca9d86195bc53","partner/weekly/2026-W42/r2":"42c44a6e47ca2ec0008b3e9e514ca938c42aafda8cc023b35ab85c8275218489"}}', '57ab429a2bb52369c65afe64be3f7f3827b9983e2de8bc3439a101f07807a609', '1c70cc8a2e6f8c0c4294fb83463c4b2e4ed79ffc7e0e2a2052278515086126b3', 'signing:signatures//r0:6f1f42d25236e71ce2195f97f488170d2bf24900c27fab065e8a040019daae38');
INSERT INTO "entries" VALUES (19, '2026-12-01T09:25:08+00:00', 'published', 'weekly', '2026-W42', 2, '{"candidate_sha256":"3804bdfc00423427d8be7f60b1c31a00d043df45936d8a82c81bc7e195aa49ff","manifests":{"partner":"42c44a6e47ca2ec0008b3e9e514ca938c42aafda8cc023b35ab85c8275218489"}}', '1c70cc8a2e6f8c0c4294fb83463c4b2e4ed79ffc7e0e2a2052278515086126b3', '61769e5e0e657ddaf0f60b1b663866337e11e5fb900039b83d7465f6e9388ec2', 'published:weekly/2026-W42/r2');
INSERT INTO "entries" VALUES (20, '2026-12-01T09:25:09+00:00', 'withdrawn', 'weekly', '2026-W42', 2, '{"reason":"mistaken","reviewer":"ana","scripted":false,"signature":"d53ea0973ea8e8e644d6c19b131b02709295d678de9f177454fc8750611d3ed590387e02ec512cb590d2430d1890256adb7af5f073c5aeee07ca35bcec783201"}', '61769e5e0e657ddaf0f60b1b663866337e11e5fb900039b83d7465f6e9388ec2', 'd5706ccb89d0777c5539660064d2fbd5e69ed8f92222533246bd4ad18f3a4794', 'withdrawn:weekly/2026-W42/r2');
INSERT INTO "artefacts" VALUES ('weekly', '2026-W41', 1, 'release', '8120010ea5411a592d8d16800bfcec455cc03ceb8e02b37e7de492f8e8746e34', CAST('{"header":{"audiences":{"partner":["by_system"]},"code_version":"0.1.0","contact":"privacy@example.com","delta":"1e-07","delta_noise":"0","description":"Visitors of a made-up site in a week, by operating system.","epsilon":"1","k":20,"levels":[{"cells":1,"delta_remainder":"2.5e-08","delta_selection":"2.5e-08","dimensions":[],"epsilon":"0.33333333333","largest":1,"limit":1,"max_groups":1,"mechanism":"discrete Laplace","noise_sd":4.22306230037789,"quantity":"people","scale":3.00000000003,"scope":"in each group","table":"","threshold":71},{"cells":1,"delta_remainder":"2.5e-08","delta_selection":"2.5e-08","dimensions":["operating_system"],"epsilon":"0.66666666666","largest":1,"limit":1,"max_groups":1,"mechanism":"discrete Laplace","noise_sd":2.0825399678555505,"quantity":"people","scale":1.500000000015,"scope":"in each group","table":"","threshold":46}],"noise":"discrete Laplace","owner":"Marketing","period":"2026-W41","period_end":"2026-10-12","period_start":"2026-10-05","policy_version":"2024-05","population":"visitors","publisher":"Example Software","purpose":"aggregated_demographics","purpose_text":"We give generic aggregated demographic information about visitors and customers, not linked to any individual, to partners, affiliates, resellers and advertisers.","release":"weekly","revision":1,"site":"Example Software (synthetic sample)","specification_sha256":"28d4fcb4dc108a24c4d1590a85db15fa8f0152264189ac75e9c76557fcc6d868","synthetic":true,"tables":[{"dimension_titles":["Operating system"],"dimensions":["operating_system"],"keys":[["Android","ChromeOS","Linux","Windows","iOS","macOS","other","unknown"]],"max_groups":1,"measure":"people","measures":[{"denominator":"","kind":"people","limit":1,"name":"people","numerator":"","quantity":"people","scope":"in each group","title":"People","unit":"visitors"}],"name":"by_system","private":[],"title":"By operating system"}],"title":"Weekly audience","unit":"one visitor in one week"},"tables":{"by_system":{"conf_status":["F","F","C","D","F","F","F","C","C","F"],"estimate":[1051.0,170.0,null,null,430.0,145.0,203.0,null,null,103.0],"kind":["total","group","group","group","group","group","group","group","group","remainder"],"measure":["people","people","people","people","people","people","people","people","people","people"],"noise_sd":[4.22306230037789,2.0825399678555505,null,null,2.0825399678555505,2.0825399678555505,2.0825399678555505,null,null,5.931453958662765],"obs_status":["A","A","Q","Q","A","A","A","Q","Q","A"],"operating_system":["all","Android","ChromeOS","Linux","Windows","iOS","macOS","other","unknown","all other"],"value":[1051,170,null,null,430,145,203,null,null,103],"value_hi":[1060,174,null,null,434,149,207,null,null,115],"value_lo":[1042,166,null,null,426,141,199,null,null,91]}}}' AS BLOB));
INSERT INTO "artefacts" VALUES ('weekly', '2026-W41', 1, 'specification', '28d4fcb4dc108a24c4d1590a85db15fa8f0152264189ac75e9c76557fcc6d868', CAST('{"audiences":{"partner":["by_system"]},"description":"Visitors of a made-up site in a week, by operating system.","owner":"Marketing","period":"week","population":"visitors","privacy":{"delta":1e-07,"epsilon":1.0,"k":20},"purpose":"aggregated_demographics","release":"weekly","tables":[{"dimensions":["operating_system"],"name":"by_system","title":"By operating system"}],"title":"Weekly audience"}' AS BLOB));
INSERT INTO "artefacts" VALUES ('weekly', '2026-W41', 1, 'checks/1', 'bbe28782fe4d1ae4e2d652d4efbeab97140c26c1d062f0bb062d077386a11cf3', CAST('[{"check":"A listed group has a row of each measure, people first; a withheld one has one row, of people","subject":"by_system","success":true,"suite":"release"},{"check":"A row shows all of its numbers or, where it is withheld, none","subject":"by_system","success":true,"suite":"release"},{"check":"Every displayed number lies within its interval","subject":"by_system","success":true,"suite":"release"},{"check":"Every interval is as wide as 95 % of its noise","subject":"by_system","success":true,"suite":"release"},{"check":"Every listed group''s noisy number of people reached its level''s threshold","subject":"by_system","success":true,"suite":"release"},{"check":"Every mean is as uncertain as the two numbers that it is made of","subject":"by_system","success":true,"suite":"release"},{"check":"Every mean is the quotient of two numbers that stand beside it","subject":"by_system","success":true,"suite":"release"},{"check":"Every row states a standard deviation above zero, and of no more than the declared noise","subject":"by_system","success":true,"suite":"release"},{"check":"Kind of row: no text looks like an address, a number of a card or phone, a token or a browser''s agent","subject":"by_system","success":true,"suite":"release"},{"check":"Measure: no text looks like an address, a number of a card or phone, a token or a browser''s agent","subject":"by_system","success":true,"suite":"release"},{"check":"No displayed number of people, of a group, a total or a remainder, is under k = 20","subject":"by_system","success":true,"suite":"release"},{"check":"No group vanished since the release before, or is new, that was not near its threshold","severity":"warning","subject":"by_system","success":true,"suite":"release"},{"check":"No measure of a group stands in the table twice","subject":"by_system","success":true,"suite":"release"},{"check":"Nothing is listed as a part of a withheld row","subject":"by_system","success":true,"suite":"release"},{"check":"Of every total, listed groups and their remainder add up to the row they are parts of, at every depth","subject":"by_system","success":true,"suite":"release"},{"check":"Only people, and means of what is so marked, are marked as less reliable","subject":"by_system","success":true,"suite":"release"},{"check":"Operating system: every key is on the public list, or says that it speaks of all or of all other","subject":"by_system","success":true,"suite":"release"},{"check":"Operating system: no text looks like an address, a number of a card or phone, a token or a browser''s agent","subject":"by_system","success":true,"suite":"release"},{"check":"People: no listed group moved since the release before by more than half and what noise explains","severity":"warning","subject":"by_system","success":true,"suite":"release"},{"check":"People: the total moved since the release before by no more than a quarter and what noise explains","severity":"warning","subject":"by_system","success":true,"suite":"release"},{"check":"Reason for withholding: no text looks like an address, a number of a card or phone, a token or a browser''s agent","subject":"by_system","success":true,"suite":"release"},{"check":"So do their estimates, before rounding","subject":"by_system","success":true,"suite":"release"},{"check":"Status of the number: no text looks like an address, a number of a card or phone, a token or a browser''s agent","subject":"by_system","success":true,"suite":"release"},{"check":"The columns are exactly the declared ones, in their order","subject":"by_system","success":true,"suite":"release"},{"check":"The share of withheld groups changed since the release before by no more than a tenth and what chance explains","severity":"warning","subject":"by_system","success":true,"suite":"release"},{"check":"There is one total, and every other row says of what it is a part","subject":"by_system","success":true,"suite":"release"},{"check":"Totals and the ends of their intervals are whole numbers, and no number is below zero","subject":"by_system","success":true,"suite":"release"},{"check":"What lies so near the threshold that selection biases it is marked as less reliable, and nothing else","subject":"by_system","success":true,"suite":"release"},{"check":"Where keys are private, no group is named that is withheld for having too few people","subject":"by_system","success":true,"suite":"release"},{"check":"A group of k people is released with no more than the stated probability","subject":"release","success":true,"suite":"release"},{"check":"A total or group that stands in several tables reads the same in all of them","subject":"release","success":true,"suite":"release"},{"check":"All levels have the noise that the release declares","subject":"release","success":true,"suite":"release"},{"check":"All levels'' noise, composed, loses no more than epsilon = 1 at delta = 0","subject":"release","success":true,"suite":"release"},{"check":"Audiences receive tables that the release has","subject":"release","success":true,"suite":"release"},{"check":"By how much one person can change a number, and how many, follows from the bounds","subject":"release","success":true,"suite":"release"},{"check":"Every level of every table is declared","subject":"release","success":true,"suite":"release"},{"check":"Every number has noise, unless epsilon is infinite, as in tests of exactness","subject":"release","success":true,"suite":"release"},{"check":"Groups are selected by their people alone, with no threshold under k","subject":"release","success":true,"suite":"release"},{"check":"Only audiences that the privacy notice names receive tables","subject":"release","success":true,"suite":"release"},{"check":"The scale of Laplace noise is all that one person can change / epsilon","subject":"release","success":true,"suite":"release"},{"check":"The stated standard deviation is that of the stated noise","subject":"release","success":true,"suite":"release"},{"check":"The tables are exactly the declared ones","subject":"release","success":true,"suite":"release"},{"check":"What noise, selection and remainders take adds up to no more than delta = 1e-07","subject":"release","success":true,"suite":"release"},{"check":"What the noise costs, and each rule, is what the ledger reserved for it before anything was drawn","subject":"release","success":true,"suite":"release"},{"check":"k is at least 2","subject":"release","success":true,"suite":"release"}]' AS BLOB));
INSERT INTO "artefacts" VALUES ('weekly', '2026-W42', 1, 'release', 'b957fd9f4de91124da04da590782c45bf8f266789ba73c3295b8d65832e67d9c', CAST('{"header":{"audiences":{"partner":["by_system"]},"code_version":"0.1.0","contact":"privacy@example.com","delta":"1e-07","delta_noise":"0","description":"Visitors of a made-up site in a week, by operating system.","epsilon":"1","k":20,"levels":[{"cells":1,"delta_remainder":"2.5e-08","delta_selection":"2.5e-08","dimensions":[],"epsilon":"0.33333333333","largest":1,"limit":1,"max_groups":1,"mechanism":"discrete Laplace","noise_sd":4.22306230037789,"quantity":"people","scale":3.00000000003,"scope":"in each group","table":"","threshold":71},{"cells":1,"delta_remainder":"2.5e-08","delta_selection":"2.5e-08","dimensions":["operating_system"],"epsilon":"0.66666666666","largest":1,"limit":1,"max_groups":1,"mechanism":"discrete Laplace","noise_sd":2.0825399678555505,"quantity":"people","scale":1.500000000015,"scope":"in each group","table":"","threshold":46}],"noise":"discrete Laplace","owner":"Marketing","period":"2026-W42","period_end":"2026-10-19","period_start":"2026-10-12","policy_version":"2024-05","population":"visitors","publisher":"Example Software","purpose":"aggregated_demographics","purpose_text":"We give generic aggregated demographic information about visitors and customers, not linked to any individual, to partners, affiliates, resellers and advertisers.","release":"weekly","revision":1,"site":"Example Software (synthetic sample)","specification_sha256":"28d4fcb4dc108a24c4d1590a85db15fa8f0152264189ac75e9c76557fcc6d868","synthetic":true,"tables":[{"dimension_titles":["Operating system"],"dimensions":["operating_system"],"keys":[["Android","ChromeOS","Linux","Windows","iOS","macOS","other","unknown"]],"max_groups":1,"measure":"people","measures":[{"denominator":"","kind":"people","limit":1,"name":"people","numerator":"","quantity":"people","scope":"in each group","title":"People","unit":"visitors"}],"name":"by_system","private":[],"title":"By operating system"}],"title":"Weekly audience","unit":"one visitor in one week"},"tables":{"by_system":{"conf_status":["F","F","C","D","F","F","F","C","C","F"],"estimate":[1058.0,181.0,null,null,418.0,162.0,203.0,null,null,94.0],"kind":["total","group","group","group","group","group","group","group","group","remainder"],"measure":["people","people","people","people","people","people","people","people","people","people"],"noise_sd":[4.22306230037789,2.0825399678555505,null,null,2.0825399678555505,2.0825399678555505,2.0825399678555505,null,null,5.931453958662765],"obs_status":["A","A","Q","Q","A","A","A","Q","Q","A"],"operating_system":["all","Android","ChromeOS","Linux","Windows","iOS","macOS","other","unknown","all other"],"value":[1058,181,null,null,418,162,203,null,null,94],"value_hi":[1067,185,null,null,422,166,207,null,null,106],"value_lo":[1049,177,null,null,414,158,199,null,null,82]}}}' AS BLOB));
INSERT INTO "artefacts" VALUES ('weekly', '2026-W42', 1, 'specification', '28d4fcb4dc108a24c4d1590a85db15fa8f0152264189ac75e9c76557fcc6d868', CAST('{"audiences":{"partner":["by_system"]},"description":"Visitors of a made-up site in a week, by operating system.","owner":"Marketing","period":"week","population":"visitors","privacy":{"delta":1e-07,"epsilon":1.0,"k":20},"purpose":"aggregated_demographics","release":"weekly","tables":[{"dimensions":["operating_system"],"name":"by_system","title":"By operating system"}],"title":"Weekly audience"}' AS BLOB));
INSERT INTO "artefacts" VALUES ('weekly', '2026-W42', 1, 'checks/1', 'bbe28782fe4d1ae4e2d652d4efbeab97140c26c1d062f0bb062d077386a11cf3', CAST('[{"check":"A listed group has a row of each measure, people first; a withheld one has one row, of people","subject":"by_system","success":true,"suite":"release"},{"check":"A row shows all of its numbers or, where it is withheld, none","subject":"by_system","success":true,"suite":"release"},{"check":"Every displayed number lies within its interval","subject":"by_system","success":true,"suite":"release"},{"check":"Every interval is as wide as 95 % of its noise","subject":"by_system","success":true,"suite":"release"},{"check":"Every listed group''s noisy number of people reached its level''s threshold","subject":"by_system","success":true,"suite":"release"},{"check":"Every mean is as uncertain as the two numbers that it is made of","subject":"by_system","success":true,"suite":"release"},{"check":"Every mean is the quotient of two numbers that stand beside it","subject":"by_system","success":true,"suite":"release"},{"check":"Every row states a standard deviation above zero, and of no more than the declared noise","subject":"by_system","success":true,"suite":"release"},{"check":"Kind of row: no text looks like an address, a number of a card or phone, a token or a browser''s agent","subject":"by_system","success":true,"suite":"release"},{"check":"Measure: no text looks like an address, a number of a card or phone, a token or a browser''s agent","subject":"by_system","success":true,"suite":"release"},{"check":"No displayed number of people, of a group, a total or a remainder, is under k = 20","subject":"by_system","success":true,"suite":"release"},{"check":"No group vanished since the release before, or is new, that was not near its threshold","severity":"warning","subject":"by_system","success":true,"suite":"release"},{"check":"No measure of a group stands in the table twice","subject":"by_system","success":true,"suite":"release"},{"check":"Nothing is listed as a part of a withheld row","subject":"by_system","success":true,"suite":"release"},{"check":"Of every total, listed groups and their remainder add up to the row they are parts of, at every depth","subject":"by_system","success":true,"suite":"release"},{"check":"Only people, and means of what is so marked, are marked as less reliable","subject":"by_system","success":true,"suite":"release"},{"check":"Operating system: every key is on the public list, or says that it speaks of all or of all other","subject":"by_system","success":true,"suite":"release"},{"check":"Operating system: no text looks like an address, a number of a card or phone, a token or a browser''s agent","subject":"by_system","success":true,"suite":"release"},{"check":"People: no listed group moved since the release before by more than half and what noise explains","severity":"warning","subject":"by_system","success":true,"suite":"release"},{"check":"People: the total moved since the release before by no more than a quarter and what noise explains","severity":"warning","subject":"by_system","success":true,"suite":"release"},{"check":"Reason for withholding: no text looks like an address, a number of a card or phone, a token or a browser''s agent","subject":"by_system","success":true,"suite":"release"},{"check":"So do their estimates, before rounding","subject":"by_system","success":true,"suite":"release"},{"check":"Status of the number: no text looks like an address, a number of a card or phone, a token or a browser''s agent","subject":"by_system","success":true,"suite":"release"},{"check":"The columns are exactly the declared ones, in their order","subject":"by_system","success":true,"suite":"release"},{"check":"The share of withheld groups changed since the release before by no more than a tenth and what chance explains","severity":"warning","subject":"by_system","success":true,"suite":"release"},{"check":"There is one total, and every other row says of what it is a part","subject":"by_system","success":true,"suite":"release"},{"check":"Totals and the ends of their intervals are whole numbers, and no number is below zero","subject":"by_system","success":true,"suite":"release"},{"check":"What lies so near the threshold that selection biases it is marked as less reliable, and nothing else","subject":"by_system","success":true,"suite":"release"},{"check":"Where keys are private, no group is named that is withheld for having too few people","subject":"by_system","success":true,"suite":"release"},{"check":"A group of k people is released with no more than the stated probability","subject":"release","success":true,"suite":"release"},{"check":"A total or group that stands in several tables reads the same in all of them","subject":"release","success":true,"suite":"release"},{"check":"All levels have the noise that the release declares","subject":"release","success":true,"suite":"release"},{"check":"All levels'' noise, composed, loses no more than epsilon = 1 at delta = 0","subject":"release","success":true,"suite":"release"},{"check":"Audiences receive tables that the release has","subject":"release","success":true,"suite":"release"},{"check":"By how much one person can change a number, and how many, follows from the bounds","subject":"release","success":true,"suite":"release"},{"check":"Every level of every table is declared","subject":"release","success":true,"suite":"release"},{"check":"Every number has noise, unless epsilon is infinite, as in tests of exactness","subject":"release","success":true,"suite":"release"},{"check":"Groups are selected by their people alone, with no threshold under k","subject":"release","success":true,"suite":"release"},{"check":"Only audiences that the privacy notice names receive tables","subject":"release","success":true,"suite":"release"},{"check":"The scale of Laplace noise is all that one person can change / epsilon","subject":"release","success":true,"suite":"release"},{"check":"The stated standard deviation is that of the stated noise","subject":"release","success":true,"suite":"release"},{"check":"The tables are exactly the declared ones","subject":"release","success":true,"suite":"release"},{"check":"What noise, selection and remainders take adds up to no more than delta = 1e-07","subject":"release","success":true,"suite":"release"},{"check":"What the noise costs, and each rule, is what the ledger reserved for it before anything was drawn","subject":"release","success":true,"suite":"release"},{"check":"k is at least 2","subject":"release","success":true,"suite":"release"}]' AS BLOB));
INSERT INTO "artefacts" VALUES ('weekly', '2026-W42', 2, 'release', 'b59fd76178c55555ebeb441978cf90f1ccb10555241268a6bb126938651b4ee4', CAST('{"header":{"audiences":{"partner":["by_system"]},"code_version":"0.1.0","contact":"privacy@example.com","delta":"1e-07","delta_noise":"0","description":"Visitors of a made-up site in a week, by operating system.","epsilon":"1","k":20,"levels":[{"cells":1,"delta_remainder":"2.5e-08","delta_selection":"2.5e-08","dimensions":[],"epsilon":"0.33333333333","largest":1,"limit":1,"max_groups":1,"mechanism":"discrete Laplace","noise_sd":4.22306230037789,"quantity":"people","scale":3.00000000003,"scope":"in each group","table":"","threshold":71},{"cells":1,"delta_remainder":"2.5e-08","delta_selection":"2.5e-08","dimensions":["operating_system"],"epsilon":"0.66666666666","largest":1,"limit":1,"max_groups":1,"mechanism":"discrete Laplace","noise_sd":2.0825399678555505,"quantity":"people","scale":1.500000000015,"scope":"in each group","table":"","threshold":46}],"noise":"discrete Laplace","owner":"Marketing","period":"2026-W42","period_end":"2026-10-19","period_start":"2026-10-12","policy_version":"2024-05","population":"visitors","publisher":"Example Software","purpose":"aggregated_demographics","purpose_text":"We give generic aggregated demographic information about visitors and customers, not linked to any individual, to partners, affiliates, resellers and advertisers.","release":"weekly","revision":2,"site":"Example Software (synthetic sample)","specification_sha256":"28d4fcb4dc108a24c4d1590a85db15fa8f0152264189ac75e9c76557fcc6d868","synthetic":true,"tables":[{"dimension_titles":["Operating system"],"dimensions":["operating_system"],"keys":[["Android","ChromeOS","Linux","Windows","iOS","macOS","other","unknown"]],"max_groups":1,"measure":"people","measures":[{"denominator":"","kind":"people","limit":1,"name":"people","numerator":"","quantity":"people","scope":"in each group","title":"People","unit":"visitors"}],"name":"by_system","private":[],"title":"By operating system"}],"title":"Weekly audience","unit":"one visitor in one week"},"tables":{"by_system":{"conf_status":["F","F","C","D","F","F","F","C","C","F"],"estimate":[1069.0,185.0,null,null,418.0,159.0,203.0,null,null,104.0],"kind":["total","group","group","group","group","group","group","group","group","remainder"],"measure":["people","people","people","people","people","people","people","people","people","people"],"noise_sd":[4.22306230037789,2.0825399678555505,null,null,2.0825399678555505,2.0825399678555505,2.0825399678555505,null,null,5.931453958662765],"obs_status":["A","A","Q","Q","A","A","A","Q","Q","A"],"operating_system":["all","Android","ChromeOS","Linux","Windows","iOS","macOS","other","unknown","all other"],"value":[1069,185,null,null,418,159,203,null,null,104],"value_hi":[1078,189,null,null,422,163,207,null,null,116],"value_lo":[1060,181,null,null,414,155,199,null,null,92]}}}' AS BLOB));
INSERT INTO "artefacts" VALUES ('weekly', '2026-W42', 2, 'specification', '28d4fcb4dc108a24c4d1590a85db15fa8f0152264189ac75e9c76557fcc6d868', CAST('{"audiences":{"partner":["by_system"]},"description":"Visitors of a made-up site in a week, by operating system.","owner":"Marketing","period":"week","population":"visitors","privacy":{"delta":1e-07,"epsilon":1.0,"k":20},"purpose":"aggregated_demographics","release":"weekly","tables":[{"dimensions":["operating_system"],"name":"by_system","title":"By operating system"}],"title":"Weekly audience"}' AS BLOB));
INSERT INTO "artefacts" VALUES ('weekly', '2026-W42', 2, 'checks/1', 'bbe28782fe4d1ae4e2d652d4efbeab97140c26c1d062f0bb062d077386a11cf3', CAST('[{"check":"A listed group has a row of each measure, people first; a withheld one has one row, of people","subject":"by_system","success":true,"suite":"release"},{"check":"A row shows all of its numbers or, where it is withheld, none","subject":"by_system","success":true,"suite":"release"},{"check":"Every displayed number lies within its interval","subject":"by_system","success":true,"suite":"release"},{"check":"Every interval is as wide as 95 % of its noise","subject":"by_system","success":true,"suite":"release"},{"check":"Every listed group''s noisy number of people reached its level''s threshold","subject":"by_system","success":true,"suite":"release"},{"check":"Every mean is as uncertain as the two numbers that it is made of","subject":"by_system","success":true,"suite":"release"},{"check":"Every mean is the quotient of two numbers that stand beside it","subject":"by_system","success":true,"suite":"release"},{"check":"Every row states a standard deviation above zero, and of no more than the declared noise","subject":"by_system","success":true,"suite":"release"},{"check":"Kind of row: no text looks like an address, a number of a card or phone, a token or a browser''s agent","subject":"by_system","success":true,"suite":"release"},{"check":"Measure: no text looks like an address, a number of a card or phone, a token or a browser''s agent","subject":"by_system","success":true,"suite":"release"},{"check":"No displayed number of people, of a group, a total or a remainder, is under k = 20","subject":"by_system","success":true,"suite":"release"},{"check":"No group vanished since the release before, or is new, that was not near its threshold","severity":"warning","subject":"by_system","success":true,"suite":"release"},{"check":"No measure of a group stands in the table twice","subject":"by_system","success":true,"suite":"release"},{"check":"Nothing is listed as a part of a withheld row","subject":"by_system","success":true,"suite":"release"},{"check":"Of every total, listed groups and their remainder add up to the row they are parts of, at every depth","subject":"by_system","success":true,"suite":"release"},{"check":"Only people, and means of what is so marked, are marked as less reliable","subject":"by_system","success":true,"suite":"release"},{"check":"Operating system: every key is on the public list, or says that it speaks of all or of all other","subject":"by_system","success":true,"suite":"release"},{"check":"Operating system: no text looks like an address, a number of a card or phone, a token or a browser''s agent","subject":"by_system","success":true,"suite":"release"},{"check":"People: no listed group moved since the release before by more than half and what noise explains","severity":"warning","subject":"by_system","success":true,"suite":"release"},{"check":"People: the total moved since the release before by no more than a quarter and what noise explains","severity":"warning","subject":"by_system","success":true,"suite":"release"},{"check":"Reason for withholding: no text looks like an address, a number of a card or phone, a token or a browser''s agent","subject":"by_system","success":true,"suite":"release"},{"check":"So do their estimates, before rounding","subject":"by_system","success":true,"suite":"release"},{"check":"Status of the number: no text looks like an address, a number of a card or phone, a token or a browser''s agent","subject":"by_system","success":true,"suite":"release"},{"check":"The columns are exactly the declared ones, in their order","subject":"by_system","success":true,"suite":"release"},{"check":"The share of withheld groups changed since the release before by no more than a tenth and what chance explains","severity":"warning","subject":"by_system","success":true,"suite":"release"},{"check":"There is one total, and every other row says of what it is a part","subject":"by_system","success":true,"suite":"release"},{"check":"Totals and the ends of their intervals are whole numbers, and no number is below zero","subject":"by_system","success":true,"suite":"release"},{"check":"What lies so near the threshold that selection biases it is marked as less reliable, and nothing else","subject":"by_system","success":true,"suite":"release"},{"check":"Where keys are private, no group is named that is withheld for having too few people","subject":"by_system","success":true,"suite":"release"},{"check":"A group of k people is released with no more than the stated probability","subject":"release","success":true,"suite":"release"},{"check":"A total or group that stands in several tables reads the same in all of them","subject":"release","success":true,"suite":"release"},{"check":"All levels have the noise that the release declares","subject":"release","success":true,"suite":"release"},{"check":"All levels'' noise, composed, loses no more than epsilon = 1 at delta = 0","subject":"release","success":true,"suite":"release"},{"check":"Audiences receive tables that the release has","subject":"release","success":true,"suite":"release"},{"check":"By how much one person can change a number, and how many, follows from the bounds","subject":"release","success":true,"suite":"release"},{"check":"Every level of every table is declared","subject":"release","success":true,"suite":"release"},{"check":"Every number has noise, unless epsilon is infinite, as in tests of exactness","subject":"release","success":true,"suite":"release"},{"check":"Groups are selected by their people alone, with no threshold under k","subject":"release","success":true,"suite":"release"},{"check":"Only audiences that the privacy notice names receive tables","subject":"release","success":true,"suite":"release"},{"check":"The scale of Laplace noise is all that one person can change / epsilon","subject":"release","success":true,"suite":"release"},{"check":"The stated standard deviation is that of the stated noise","subject":"release","success":true,"suite":"release"},{"check":"The tables are exactly the declared ones","subject":"release","success":true,"suite":"release"},{"check":"What noise, selection and remainders take adds up to no more than delta = 1e-07","subject":"release","success":true,"suite":"release"},{"check":"What the noise costs, and each rule, is what the ledger reserved for it before anything was drawn","subject":"release","success":true,"suite":"release"},{"check":"k is at least 2","subject":"release","success":true,"suite":"release"}]' AS BLOB));
INSERT INTO "subject_key" VALUES (1, '9abf8c0f');
INSERT INTO "subject_requests" VALUES ('R-7SMG3M31', 'erase', 'customers', 'command line', '2026-12-01T09:24:38.513682+00:00', '2026-12-01T09:24:38.519905+00:00', 'applied', '', NULL, NULL, NULL, '2026-12-01T09:24:38.609938+00:00', 'nothing was held; later extracts leave them out');
INSERT INTO "subject_requests" VALUES ('R-FKATR1MZ', 'opt-out', 'visitors', 'command line', '2026-12-01T09:24:38.572676+00:00', '2026-12-01T09:24:38.575736+00:00', 'applied', '', NULL, NULL, NULL, '2026-12-01T09:24:38.609938+00:00', 'nothing was held; later extracts leave them out');
INSERT INTO "subject_requests" VALUES ('R-KC400E1Y', 'opt-out', 'customers', 'command line', '2026-12-01T09:24:38.647304+00:00', '2026-12-01T09:24:38.648633+00:00', 'open', '', X'c6cc83c1621412d37489607e328a454a7883c5646ddb644c57a3fdfa60d6aa9f8c7f17c32a500d96b14e42bffbf47d6c506782de5f60c4476c26a60d098c4da49557d2968fa7d3c348ac6f5cca99d5214a363c74503c29d2987100aca63bc63ac026820466545f254b6db83a5793c600550c729587cc5119fc9ef2a76e7cea0324ce53dc37ccbf2f630ae0ddc57df5ad8ddbadec9e6881e29ea4f82c332c35c39e59ee28bb39186efcbba1c7da271bc15de4f4add18134aaf2551c114103d5373145b903938e096988805365c2ba74c52f6499f46a85aa17f887cd1c22f50a99d5fe001b53a0be437a7f6fe05803c9526e', 'f931e00d8b822f1fa0a4148774e0fac7', NULL, NULL, NULL);
INSERT INTO "tombstones" VALUES ('fa6b343c47163c281b142d786057c023', 'R-7SMG3M31', 'customers', NULL, NULL, '{}', '2026-12-01T09:24:38.609938+00:00');
INSERT INTO "tombstones" VALUES ('280f7285b7008608b2965c8eb0129351', 'R-FKATR1MZ', 'visitors', '2026-10-06', NULL, '{}', '2026-12-01T09:24:38.609939+00:00');
INSERT INTO "reviewer_accounts" VALUES ('ana', '$argon2id$v=19$m=65536,t=3,p=4$K35yAp4Tn4L/Ynx+UCkNhA$fLF87nAQKxEF90ZmJXuZsxRroS65Yv3YBI+hGiPHDoc', '{"passes":3,"memory":65536,"lanes":4,"salt":"ac4529cca9cdd798b197e9f732c6a6eb","content":"5ca34cccd9ba91c065ecacaa2c61cc546b6b3b3fddcba289cca7622eac0c9ded3bda070fa685eca574d68f9998d213da31ab71b9ef54ecbba344a875"}', '2026-12-01T09:24:39.428655+00:00', 0, NULL);
INSERT INTO "reviewer_tokens" VALUES (1, 'ana', '9d6fe0fb45e96037c7999dc5130d3f3a08b5ddaac129806606e4cdd47c4b359c', X'89128cbb67015f4774519c4fc78f7a53e7121b0c42ce10535a77a6bd6ce0428adc5b62e30b587de6f0317825b381de8e920e3ca9dcdc68b2ea962d3edd8462f386a666cc248b4bface890b12', '2026-12-01T09:24:39.476532+00:00', '2027-03-01T09:24:39.476532+00:00');
INSERT INTO "reviewer_events" VALUES (1, '2026-12-01T09:24:39.439045+00:00', 'ana', 'added', '');
INSERT INTO "reviewer_events" VALUES (2, '2026-12-01T09:24:39.476532+00:00', 'ana', 'token issued', 'token 1');
INSERT INTO "reviewer_events" VALUES (3, '2026-12-01T09:24:51.878502+00:00', 'ana', 'approved', 'weekly/2026-W41/r1');
INSERT INTO "reviewer_events" VALUES (4, '2026-12-01T09:24:59.291409+00:00', 'ana', 'rejected', 'weekly/2026-W42/r1');
INSERT INTO "reviewer_events" VALUES (5, '2026-12-01T09:25:04.293425+00:00', 'ana', 'approved', 'entitlements 1');
INSERT INTO "reviewer_events" VALUES (6, '2026-12-01T09:25:06.502275+00:00', 'ana', 'approved', 'weekly/2026-W42/r2');
INSERT INTO "reviewer_events" VALUES (7, '2026-12-01T09:25:09.853295+00:00', 'ana', 'withdrew', 'weekly/2026-W42/r2');
INSERT INTO "entitlement_approvals" VALUES (1, '2026-12-01T09:25:04.242511+00:00', 'ana', '36d48f4438c6ef601f619dad370dd0c7f056a93d5a1538b770c8f16e4d4b1bab', CAST('recipients:
  - name: acme
    title: Acme Partners
    audience: partner
    receives: {weekly: {}}
    webhook: https://hooks.invalid/demographics
  - name: north
    title: North Partners
    audience: partner
    receives: {weekly: {rows: {operating_system: [Windows, macOS]}}}
' AS BLOB), '37a359cc895f4c0732f868b19669894fe9d9af32597cb491c9bb5bbcb04e821f87a3a3171b073aaf8a6e5c5d0847b56f754ec2a334d863c39335406fabd25006');
INSERT INTO "recipient_tokens" VALUES (1, 'acme', 'dfd0c0262e454da66abfa72e81c9fd541b2155f3643f69152562f313575a02fb', 'read', 'nightly', '2026-12-01T09:25:05.825026+00:00', '2026-12-31T09:25:05.825026+00:00', NULL, NULL);
INSERT INTO "recipient_tokens" VALUES (2, 'north', '99e52e3a1f10317becf4519bc5970b66cd09aba969ac61b0ca51a03ffd651bf1', 'read', '', '2026-12-01T09:25:05.841427+00:00', '2027-03-01T09:25:05.841427+00:00', '2026-12-01T09:25:05.870165+00:00', NULL);
INSERT INTO "downloads" VALUES (1, '2026-12-01T09:25:08.945217+00:00', 'acme', 'api', 'partner', 'weekly', '2026-W41', 'by_system.csv', '', 1, 1);
INSERT INTO "downloads" VALUES (2, '2026-12-01T09:25:08.969637+00:00', 'acme', 'api', 'partner', 'weekly', '2026-W41', 'README.md', '', 1, 1);
INSERT INTO "recipient_events" VALUES (1, '2026-12-01T09:25:05.825026+00:00', 'acme', 'token issued', 'token 1');
INSERT INTO "recipient_events" VALUES (2, '2026-12-01T09:25:05.841427+00:00', 'north', 'token issued', 'token 2');
INSERT INTO "recipient_events" VALUES (3, '2026-12-01T09:25:05.870165+00:00', 'north', 'token revoked', 'token 2');
INSERT INTO "recipient_events" VALUES (4, '2026-12-01T09:25:05.900527+00:00', 'acme', 'webhook secret made', 'webhook secret 1');
INSERT INTO "notices" VALUES ('msg_55dad6b30113fb0b0db926d7015', 'acme', 'webhook', 'withdrawn', 'weekly', '2026-W42', '2026-12-01T09:25:09.919386+00:00', 'waiting', '2026-12-01T09:27:31.774656+00:00', 'the receiver''s name has no address', 2, 1);
INSERT INTO "webhook_secrets" VALUES (1, 'acme', 'bb7e0158cef1da3cc456d547d18e36ca1704174335a7ac2795c05b318f15cc23', '2026-12-01T09:25:05.900527+00:00', NULL);
CREATE INDEX entries_of_release ON entries (release, period, revision, kind, number);
CREATE TRIGGER entries_keep_update BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER entries_keep_delete BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER artefacts_keep_update BEFORE UPDATE ON artefacts BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER artefacts_keep_delete BEFORE DELETE ON artefacts BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE INDEX ix_subject_requests_state ON subject_requests (state);
CREATE INDEX ix_tombstones_population ON tombstones (population);
CREATE INDEX ix_reviewer_tokens_account ON reviewer_tokens (account);
CREATE INDEX ix_reviewer_sessions_account ON reviewer_sessions (account);
CREATE TRIGGER reviewer_events_keep_update BEFORE UPDATE ON reviewer_events BEGIN SELECT RAISE(ABORT, 'the log of reviewers is append-only'); END;
CREATE TRIGGER reviewer_events_keep_delete BEFORE DELETE ON reviewer_events BEGIN SELECT RAISE(ABORT, 'the log of reviewers is append-only'); END;
CREATE INDEX ix_recipient_tokens_made_with ON recipient_tokens (made_with);
CREATE INDEX ix_recipient_tokens_recipient ON recipient_tokens (recipient);
CREATE INDEX ix_recipient_sessions_token ON recipient_sessions (token);
CREATE INDEX downloads_of_editions ON downloads (product, period, revision);
CREATE INDEX notices_that_are_due ON notices (state, due);
CREATE TRIGGER entitlement_approvals_keep_update BEFORE UPDATE ON entitlement_approvals BEGIN SELECT RAISE(ABORT, 'approvals of entitlements, downloads and the log of recipients are append-only'); END;
CREATE TRIGGER entitlement_approvals_keep_delete BEFORE DELETE ON entitlement_approvals BEGIN SELECT RAISE(ABORT, 'approvals of entitlements, downloads and the log of recipients are append-only'); END;
CREATE TRIGGER downloads_keep_update BEFORE UPDATE ON downloads BEGIN SELECT RAISE(ABORT, 'approvals of entitlements, downloads and the log of recipients are append-only'); END;
CREATE TRIGGER downloads_keep_delete BEFORE DELETE ON downloads BEGIN SELECT RAISE(ABORT, 'approvals of entitlements, downloads and the log of recipients are append-only'); END;
CREATE TRIGGER recipient_events_keep_update BEFORE UPDATE ON recipient_events BEGIN SELECT RAISE(ABORT, 'approvals of entitlements, downloads and the log of recipients are append-only'); END;
CREATE TRIGGER recipient_events_keep_delete BEFORE DELETE ON recipient_events BEGIN SELECT RAISE(ABORT, 'approvals of entitlements, downloads and the log of recipients are append-only'); END;
