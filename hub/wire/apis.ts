// The one table of APIs: key, versions served and advertised, schemas; and frames to messages, both directions.
import { Reader } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import { HubError } from "../errors.ts";
import { decode, encode } from "./codec.ts";
import { readRequestHeader, readResponseHeader, skipTags, writeRequestHeader, writeResponseHeader } from "./frame.ts";
import type { RequestHeader } from "./frame.ts";
import { produceRequest, produceResponse } from "./messages/00_produce.ts";
import { fetchRequest, fetchResponse } from "./messages/01_fetch.ts";
import { listOffsetsRequest, listOffsetsResponse } from "./messages/02_list_offsets.ts";
import { metadataRequest, metadataResponse } from "./messages/03_metadata.ts";
import { offsetCommitRequest, offsetCommitResponse } from "./messages/08_offset_commit.ts";
import { offsetFetchRequest, offsetFetchResponse } from "./messages/09_offset_fetch.ts";
import { findCoordinatorRequest, findCoordinatorResponse } from "./messages/10_find_coordinator.ts";
import { joinGroupRequest, joinGroupResponse } from "./messages/11_join_group.ts";
import { heartbeatRequest, heartbeatResponse } from "./messages/12_heartbeat.ts";
import { leaveGroupRequest, leaveGroupResponse } from "./messages/13_leave_group.ts";
import { syncGroupRequest, syncGroupResponse } from "./messages/14_sync_group.ts";
import { describeGroupsRequest, describeGroupsResponse } from "./messages/15_describe_groups.ts";
import { listGroupsRequest, listGroupsResponse } from "./messages/16_list_groups.ts";
import { saslHandshakeRequest, saslHandshakeResponse } from "./messages/17_sasl_handshake.ts";
import { apiVersionsRequest, apiVersionsResponse } from "./messages/18_api_versions.ts";
import { createTopicsRequest, createTopicsResponse } from "./messages/19_create_topics.ts";
import { deleteTopicsRequest, deleteTopicsResponse } from "./messages/20_delete_topics.ts";
import { deleteRecordsRequest, deleteRecordsResponse } from "./messages/21_delete_records.ts";
import { initProducerIdRequest, initProducerIdResponse } from "./messages/22_init_producer_id.ts";
import { offsetForLeaderEpochRequest, offsetForLeaderEpochResponse } from "./messages/23_offset_for_leader_epoch.ts";
import { addPartitionsToTxnRequest, addPartitionsToTxnResponse } from "./messages/24_add_partitions_to_txn.ts";
import { addOffsetsToTxnRequest, addOffsetsToTxnResponse } from "./messages/25_add_offsets_to_txn.ts";
import { endTxnRequest, endTxnResponse } from "./messages/26_end_txn.ts";
import { writeTxnMarkersRequest, writeTxnMarkersResponse } from "./messages/27_write_txn_markers.ts";
import { txnOffsetCommitRequest, txnOffsetCommitResponse } from "./messages/28_txn_offset_commit.ts";
import { describeAclsRequest, describeAclsResponse } from "./messages/29_describe_acls.ts";
import { createAclsRequest, createAclsResponse } from "./messages/30_create_acls.ts";
import { deleteAclsRequest, deleteAclsResponse } from "./messages/31_delete_acls.ts";
import { describeConfigsRequest, describeConfigsResponse } from "./messages/32_describe_configs.ts";
import { alterConfigsRequest, alterConfigsResponse } from "./messages/33_alter_configs.ts";
import { alterReplicaLogDirsRequest, alterReplicaLogDirsResponse } from "./messages/34_alter_replica_log_dirs.ts";
import { describeLogDirsRequest, describeLogDirsResponse } from "./messages/35_describe_log_dirs.ts";
import { saslAuthenticateRequest, saslAuthenticateResponse } from "./messages/36_sasl_authenticate.ts";
import { createPartitionsRequest, createPartitionsResponse } from "./messages/37_create_partitions.ts";
import { deleteGroupsRequest, deleteGroupsResponse } from "./messages/42_delete_groups.ts";
import { electLeadersRequest, electLeadersResponse } from "./messages/43_elect_leaders.ts";
import {
  incrementalAlterConfigsRequest,
  incrementalAlterConfigsResponse,
} from "./messages/44_incremental_alter_configs.ts";
import {
  alterPartitionReassignmentsRequest,
  alterPartitionReassignmentsResponse,
} from "./messages/45_alter_partition_reassignments.ts";
import {
  listPartitionReassignmentsRequest,
  listPartitionReassignmentsResponse,
} from "./messages/46_list_partition_reassignments.ts";
import { offsetDeleteRequest, offsetDeleteResponse } from "./messages/47_offset_delete.ts";
import { describeClientQuotasRequest, describeClientQuotasResponse } from "./messages/48_describe_client_quotas.ts";
import { alterClientQuotasRequest, alterClientQuotasResponse } from "./messages/49_alter_client_quotas.ts";
import {
  describeUserScramCredentialsRequest,
  describeUserScramCredentialsResponse,
} from "./messages/50_describe_user_scram_credentials.ts";
import {
  alterUserScramCredentialsRequest,
  alterUserScramCredentialsResponse,
} from "./messages/51_alter_user_scram_credentials.ts";
import { describeQuorumRequest, describeQuorumResponse } from "./messages/55_describe_quorum.ts";
import { updateFeaturesRequest, updateFeaturesResponse } from "./messages/57_update_features.ts";
import { describeClusterRequest, describeClusterResponse } from "./messages/60_describe_cluster.ts";
import { describeProducersRequest, describeProducersResponse } from "./messages/61_describe_producers.ts";
import { describeTransactionsRequest, describeTransactionsResponse } from "./messages/65_describe_transactions.ts";
import { listTransactionsRequest, listTransactionsResponse } from "./messages/66_list_transactions.ts";
import { unregisterBrokerRequest, unregisterBrokerResponse } from "./messages/64_unregister_broker.ts";
import {
  consumerGroupHeartbeatRequest,
  consumerGroupHeartbeatResponse,
} from "./messages/68_consumer_group_heartbeat.ts";
import { consumerGroupDescribeRequest, consumerGroupDescribeResponse } from "./messages/69_consumer_group_describe.ts";
import { listConfigResourcesRequest, listConfigResourcesResponse } from "./messages/74_list_config_resources.ts";
import {
  describeTopicPartitionsRequest,
  describeTopicPartitionsResponse,
} from "./messages/75_describe_topic_partitions.ts";
import { hubHelloRequest, hubHelloResponse } from "./messages/1000_hub_hello.ts";
import { voteRequest, voteResponse } from "./messages/1001_vote.ts";
import { tryLeadRequest, tryLeadResponse } from "./messages/1002_try_lead.ts";
import { reconfigureRequest, reconfigureResponse } from "./messages/1003_reconfigure.ts";
import { replicaStatesRequest, replicaStatesResponse } from "./messages/1004_replica_states.ts";
import { txnGateRequest, txnGateResponse } from "./messages/1005_txn_gate.ts";
import { txnHoldRequest, txnHoldResponse } from "./messages/1006_txn_hold.ts";
import { groupDecidedRequest, groupDecidedResponse } from "./messages/1007_group_decided.ts";
import { heldOffsetsRequest, heldOffsetsResponse } from "./messages/1008_held_offsets.ts";
import { replicaRangeRequest, replicaRangeResponse } from "./messages/1009_replica_range.ts";
import type { Decoded, Encodable, Message } from "./schema.ts";

/** One row of the table. */
export interface Api<Request extends Message = Message, Response extends Message = Message> {
  readonly key: number;
  /** First version that is served; below it, down to `advertisedMin`, requests are refused like unknown ones. */
  readonly min: number;
  readonly max: number;
  /** What ApiVersions says in place of `min` (kafka.md 1a, trap 2). */
  readonly advertisedMin: number;
  readonly request: Request;
  readonly response: Response;
}

function api<Request extends Message, Response extends Message>(
  key: number,
  [min, max]: readonly [number, number],
  request: Request,
  response: Response,
  advertisedMin: number = min,
): Api<Request, Response> {
  return { key, min, max, advertisedMin, request, response };
}

/** Every API of this hub. ApiVersions is printed from it. */
export const apis = {
  produce: api(0, [3, 13], produceRequest, produceResponse, 0),
  fetch: api(1, [4, 18], fetchRequest, fetchResponse),
  listOffsets: api(2, [1, 11], listOffsetsRequest, listOffsetsResponse),
  metadata: api(3, [0, 13], metadataRequest, metadataResponse),
  offsetCommit: api(8, [2, 10], offsetCommitRequest, offsetCommitResponse),
  offsetFetch: api(9, [1, 10], offsetFetchRequest, offsetFetchResponse),
  findCoordinator: api(10, [0, 6], findCoordinatorRequest, findCoordinatorResponse),
  joinGroup: api(11, [0, 9], joinGroupRequest, joinGroupResponse),
  heartbeat: api(12, [0, 4], heartbeatRequest, heartbeatResponse),
  leaveGroup: api(13, [0, 5], leaveGroupRequest, leaveGroupResponse),
  syncGroup: api(14, [0, 5], syncGroupRequest, syncGroupResponse),
  describeGroups: api(15, [0, 6], describeGroupsRequest, describeGroupsResponse),
  listGroups: api(16, [0, 5], listGroupsRequest, listGroupsResponse),
  saslHandshake: api(17, [0, 1], saslHandshakeRequest, saslHandshakeResponse),
  apiVersions: api(18, [0, 4], apiVersionsRequest, apiVersionsResponse),
  createTopics: api(19, [2, 7], createTopicsRequest, createTopicsResponse),
  deleteTopics: api(20, [1, 6], deleteTopicsRequest, deleteTopicsResponse),
  deleteRecords: api(21, [0, 2], deleteRecordsRequest, deleteRecordsResponse),
  initProducerId: api(22, [0, 5], initProducerIdRequest, initProducerIdResponse),
  offsetForLeaderEpoch: api(23, [2, 4], offsetForLeaderEpochRequest, offsetForLeaderEpochResponse),
  addPartitionsToTxn: api(24, [0, 3], addPartitionsToTxnRequest, addPartitionsToTxnResponse),
  addOffsetsToTxn: api(25, [0, 4], addOffsetsToTxnRequest, addOffsetsToTxnResponse),
  endTxn: api(26, [0, 5], endTxnRequest, endTxnResponse),
  writeTxnMarkers: api(27, [1, 2], writeTxnMarkersRequest, writeTxnMarkersResponse),
  txnOffsetCommit: api(28, [0, 5], txnOffsetCommitRequest, txnOffsetCommitResponse),
  describeAcls: api(29, [1, 3], describeAclsRequest, describeAclsResponse),
  createAcls: api(30, [1, 3], createAclsRequest, createAclsResponse),
  deleteAcls: api(31, [1, 3], deleteAclsRequest, deleteAclsResponse),
  describeConfigs: api(32, [1, 4], describeConfigsRequest, describeConfigsResponse),
  alterConfigs: api(33, [0, 2], alterConfigsRequest, alterConfigsResponse),
  alterReplicaLogDirs: api(34, [1, 2], alterReplicaLogDirsRequest, alterReplicaLogDirsResponse),
  describeLogDirs: api(35, [1, 5], describeLogDirsRequest, describeLogDirsResponse),
  saslAuthenticate: api(36, [0, 2], saslAuthenticateRequest, saslAuthenticateResponse),
  createPartitions: api(37, [0, 3], createPartitionsRequest, createPartitionsResponse),
  deleteGroups: api(42, [0, 2], deleteGroupsRequest, deleteGroupsResponse),
  electLeaders: api(43, [0, 2], electLeadersRequest, electLeadersResponse),
  incrementalAlterConfigs: api(44, [0, 1], incrementalAlterConfigsRequest, incrementalAlterConfigsResponse),
  alterPartitionReassignments: api(45, [0, 1], alterPartitionReassignmentsRequest, alterPartitionReassignmentsResponse),
  listPartitionReassignments: api(46, [0, 0], listPartitionReassignmentsRequest, listPartitionReassignmentsResponse),
  offsetDelete: api(47, [0, 0], offsetDeleteRequest, offsetDeleteResponse),
  describeClientQuotas: api(48, [0, 1], describeClientQuotasRequest, describeClientQuotasResponse),
  alterClientQuotas: api(49, [0, 1], alterClientQuotasRequest, alterClientQuotasResponse),
  describeUserScramCredentials: api(
    50,
    [0, 0],
    describeUserScramCredentialsRequest,
    describeUserScramCredentialsResponse,
  ),
  alterUserScramCredentials: api(51, [0, 0], alterUserScramCredentialsRequest, alterUserScramCredentialsResponse),
  describeQuorum: api(55, [0, 2], describeQuorumRequest, describeQuorumResponse),
  updateFeatures: api(57, [0, 2], updateFeaturesRequest, updateFeaturesResponse),
  describeCluster: api(60, [0, 2], describeClusterRequest, describeClusterResponse),
  describeProducers: api(61, [0, 0], describeProducersRequest, describeProducersResponse),
  unregisterBroker: api(64, [0, 0], unregisterBrokerRequest, unregisterBrokerResponse),
  describeTransactions: api(65, [0, 0], describeTransactionsRequest, describeTransactionsResponse),
  listTransactions: api(66, [0, 2], listTransactionsRequest, listTransactionsResponse),
  consumerGroupHeartbeat: api(68, [0, 1], consumerGroupHeartbeatRequest, consumerGroupHeartbeatResponse),
  consumerGroupDescribe: api(69, [0, 1], consumerGroupDescribeRequest, consumerGroupDescribeResponse),
  listConfigResources: api(74, [0, 1], listConfigResourcesRequest, listConfigResourcesResponse),
  describeTopicPartitions: api(75, [0, 0], describeTopicPartitionsRequest, describeTopicPartitionsResponse),
  // Between hubs, never told by ApiVersions (replication.md 2.11b).
  hubHello: api(1000, [0, 0], hubHelloRequest, hubHelloResponse),
  vote: api(1001, [0, 0], voteRequest, voteResponse),
  tryLead: api(1002, [0, 0], tryLeadRequest, tryLeadResponse),
  reconfigure: api(1003, [0, 0], reconfigureRequest, reconfigureResponse),
  replicaStates: api(1004, [0, 0], replicaStatesRequest, replicaStatesResponse),
  txnGate: api(1005, [0, 0], txnGateRequest, txnGateResponse),
  txnHold: api(1006, [0, 0], txnHoldRequest, txnHoldResponse),
  groupDecided: api(1007, [0, 0], groupDecidedRequest, groupDecidedResponse),
  heldOffsets: api(1008, [0, 0], heldOffsetsRequest, heldOffsetsResponse),
  replicaRange: api(1009, [0, 0], replicaRangeRequest, replicaRangeResponse),
} as const;

const hubKeyMin = 1000;

export type ApiName = keyof typeof apis;

/** A request as a hub decodes it: every field is there. */
export type RequestOf<N extends ApiName> = Decoded<(typeof apis)[N]["request"]>;
/** A response as a hub gives it to be encoded: what has a default may be left out. */
export type ResponseOf<N extends ApiName> = Encodable<(typeof apis)[N]["response"]>;
/** A request as a client gives it to be encoded. */
export type CallOf<N extends ApiName> = Encodable<(typeof apis)[N]["request"]>;
/** A response as a client decodes it. */
export type ReplyOf<N extends ApiName> = Decoded<(typeof apis)[N]["response"]>;

export const apiNames = Object.keys(apis) as ApiName[];

const namesByKey = new Map<number, ApiName>(apiNames.map((name) => [apis[name].key, name]));

/** The name for a key, or undefined. */
export function apiOf(key: number): ApiName | undefined {
  return namesByKey.get(key);
}

/** A request that arrived, decoded. `api` tells the type of `body`. */
export type Request = { [N in ApiName]: RequestHeader & { readonly api: N; readonly body: RequestOf<N> } }[ApiName];

/** True for what only hubs say to each other: not Kafka's, and answered to nobody else. */
export function isBetweenHubs(name: ApiName): boolean {
  return apis[name].key >= hubKeyMin;
}

interface ApiRow {
  readonly apiKey: number;
  readonly minVersion: number;
  readonly maxVersion: number;
}

/** Rows for an ApiVersions response, in the order of the keys. */
export function advertised(): ApiRow[] {
  const told = apiNames.filter((name) => !isBetweenHubs(name));
  return told.map((name) => {
    const { key, advertisedMin, max } = apis[name];
    return { apiKey: key, minVersion: advertisedMin, maxVersion: max };
  });
}

/** Rows of all that is served to another hub. */
export function servedToHubs(): ApiRow[] {
  return apiNames.map((name) => ({ apiKey: apis[name].key, minVersion: apis[name].min, maxVersion: apis[name].max }));
}

/** True when the response of this API and version has header v1. ApiVersions never has (KIP-511). */
export function hasFlexibleResponseHeader(name: ApiName, version: number): boolean {
  return name !== "apiVersions" && version >= apis[name].response.flexible;
}

/**
 * Reads only the header of a request: enough to answer an ApiVersions of an unknown version (error 35, encoded as v0).
 * @throws HubError INVALID_REQUEST
 */
export function peekRequest(frame: Uint8Array): RequestHeader {
  return readRequestHeader(new Reader(frame));
}

/**
 * Decodes a request. `records` in it are views of the frame.
 * @throws HubError UNSUPPORTED_VERSION for a key or version that is not served, INVALID_REQUEST when it is malformed;
 *   after either the connection is to be closed (but see `peekRequest`).
 */
export function decodeRequest(frame: Uint8Array): Request {
  const reader = new Reader(frame);
  const header = readRequestHeader(reader);
  const name = namesByKey.get(header.apiKey);
  if (name === undefined) throw new HubError("UNSUPPORTED_VERSION", `API key ${header.apiKey} is not served`);
  const { min, max, request } = apis[name];
  const version = header.apiVersion;
  if (version < min || version > max) {
    throw new HubError("UNSUPPORTED_VERSION", `${name} is served in versions ${min} to ${max}, not ${version}`);
  }
  if (version >= request.flexible) skipTags(reader);
  const { apiKey, apiVersion, correlationId, clientId } = header;
  return { api: name, apiKey, apiVersion, correlationId, clientId, body: decode(request, version, reader) } as Request;
}

/** Encodes a response with its size and header; large `records` are parts of their own, by reference. */
export function encodeResponse<N extends ApiName>(
  name: N,
  version: number,
  correlationId: number,
  response: ResponseOf<N>,
): Uint8Array[] {
  const writer = new Writer();
  writer.reserveInt32First();
  writeResponseHeader(writer, correlationId, hasFlexibleResponseHeader(name, version));
  encode<Message>(apis[name].response, version, response as never, writer);
  return finished(writer);
}

/** Encodes a request with its size and header. */
export function encodeRequest<N extends ApiName>(
  name: N,
  version: number,
  correlationId: number,
  clientId: string | null,
  request: CallOf<N>,
): Uint8Array[] {
  const { key, request: schema } = apis[name];
  const writer = new Writer();
  writer.reserveInt32First();
  const header = { apiKey: key, apiVersion: version, correlationId, clientId };
  writeRequestHeader(writer, header, version >= schema.flexible);
  encode<Message>(schema, version, request as never, writer);
  return finished(writer);
}

/** Reads the correlation id that a response begins with. @throws HubError INVALID_REQUEST */
export function peekResponse(frame: Uint8Array): number {
  return new Reader(frame).int32();
}

/** Decodes the response to a request of this API and version. @throws HubError INVALID_REQUEST when it is malformed */
export function decodeResponse<N extends ApiName>(name: N, version: number, frame: Uint8Array): ReplyOf<N> {
  const reader = new Reader(frame);
  readResponseHeader(reader, hasFlexibleResponseHeader(name, version));
  return decode<Message>(apis[name].response, version, reader) as ReplyOf<N>;
}

function finished(writer: Writer): Uint8Array[] {
  const size = writer.size();
  const parts = writer.parts();
  Writer.patchInt32First(parts, size - 4);
  return parts;
}
