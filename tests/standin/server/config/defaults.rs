//! The defaults of the keys that the stand-in reads.
//!
//! Source: `default.json` of wso2/carbon-apimgt, wso2/product-apim and wso2/carbon-kernel.

/// The default of a key; `$ref{…}` refers to the key with the value.
pub(super) fn of(path: &str) -> Option<&'static str> {
    Some(match path {
        "server.offset" => "0",
        "transport.http.properties.port" => "9763",
        "transport.https.properties.port" => "9443",
        "transport.http.socket_timeout" => "180000",
        "keystore.primary.file_name" => "wso2carbon.jks",
        "keystore.primary.type" => "JKS",
        "keystore.primary.password" | "keystore.primary.alias" | "keystore.primary.key_password" => {
            "wso2carbon"
        }
        "keystore.internal.file_name" | "keystore.tls.file_name" => "$ref{keystore.primary.file_name}",
        "keystore.internal.type" | "keystore.tls.type" => "$ref{keystore.primary.type}",
        "keystore.internal.password" | "keystore.tls.password" => "$ref{keystore.primary.password}",
        "keystore.internal.alias" | "keystore.tls.alias" => "$ref{keystore.primary.alias}",
        "keystore.internal.key_password" | "keystore.tls.key_password" => {
            "$ref{keystore.primary.key_password}"
        }
        "truststore.file_name" => "client-truststore.jks",
        "truststore.type" => "JKS",
        "truststore.password" => "wso2carbon",
        "apim.throttling.username" => "$ref{super_admin.username}",
        "apim.throttling.password" => "$ref{super_admin.password}",
        "apim.event_hub.username" => "$ref{apim.throttling.username}",
        "apim.event_hub.password" => "$ref{apim.throttling.password}",
        "apim.event_hub.service_url" => "$ref{apim.throttling.service_url}",
        "apim.throttling.service_url" => "https://localhost:${mgt.transport.https.port}/services/",
        "apim.sync_runtime_artifacts.gateway.data_retrieval_mode" => "async",
        _ => return None,
    })
}
