//! Groups of artifacts that are published without `pom.properties` by tools other than Maven: Gradle, Ant, sbt.
//! Nothing within such an archive says its group, and without it no advisory is found.

/// An artifact's group, by its whole name or (`*` at the end) by how it begins. Sorted within each family so that the
/// longer beginning comes first; the first that fits counts. From the artifacts' pages on
/// <https://repo1.maven.org/maven2/>.
const GROUPS: &[(&str, &str)] = &[
    ("spring-boot*", "org.springframework.boot"),
    ("spring-cloud-*", "org.springframework.cloud"),
    ("spring-security-*", "org.springframework.security"),
    ("spring-session-*", "org.springframework.session"),
    ("spring-data-*", "org.springframework.data"),
    ("spring-batch-*", "org.springframework.batch"),
    ("spring-integration-*", "org.springframework.integration"),
    ("spring-kafka*", "org.springframework.kafka"),
    ("spring-rabbit*", "org.springframework.amqp"),
    ("spring-amqp", "org.springframework.amqp"),
    ("spring-ldap-*", "org.springframework.ldap"),
    ("spring-hateoas", "org.springframework.hateoas"),
    ("spring-plugin-*", "org.springframework.plugin"),
    ("spring-retry", "org.springframework.retry"),
    ("spring-vault-*", "org.springframework.vault"),
    ("spring-ws-*", "org.springframework.ws"),
    ("spring-xml", "org.springframework.ws"),
    ("spring-statemachine-*", "org.springframework.statemachine"),
    ("spring-graphql", "org.springframework.graphql"),
    ("spring-modulith-*", "org.springframework.modulith"),
    ("spring", "org.springframework"),
    ("spring-aop", "org.springframework"),
    ("spring-aspects", "org.springframework"),
    ("spring-beans", "org.springframework"),
    ("spring-context*", "org.springframework"),
    ("spring-core*", "org.springframework"),
    ("spring-expression", "org.springframework"),
    ("spring-instrument*", "org.springframework"),
    ("spring-jcl", "org.springframework"),
    ("spring-jdbc", "org.springframework"),
    ("spring-jms", "org.springframework"),
    ("spring-messaging", "org.springframework"),
    ("spring-orm", "org.springframework"),
    ("spring-oxm", "org.springframework"),
    ("spring-r2dbc", "org.springframework"),
    ("spring-test", "org.springframework"),
    ("spring-tx", "org.springframework"),
    ("spring-web*", "org.springframework"),
    ("reactor-netty*", "io.projectreactor.netty"),
    ("reactor-core", "io.projectreactor"),
    ("reactor-test", "io.projectreactor"),
    ("micrometer-tracing*", "io.micrometer"),
    ("micrometer-*", "io.micrometer"),
    ("context-propagation", "io.micrometer"),
    ("tomcat-embed-*", "org.apache.tomcat.embed"),
    ("tomcat-*", "org.apache.tomcat"),
    ("catalina", "org.apache.tomcat"),
    ("catalina-*", "org.apache.tomcat"),
    ("ant", "org.apache.ant"),
    ("ant-launcher", "org.apache.ant"),
    ("ant-junit*", "org.apache.ant"),
    ("axis", "org.apache.axis"),
    ("derby*", "org.apache.derby"),
    ("kafka-*", "org.apache.kafka"),
    ("kafka_*", "org.apache.kafka"),
    ("connect-*", "org.apache.kafka"),
    ("lucene-*", "org.apache.lucene"),
    ("solr-*", "org.apache.solr"),
    ("groovy-all", "org.codehaus.groovy"),
    ("ivy", "org.apache.ivy"),
    ("velocity", "org.apache.velocity"),
    ("elasticsearch-*", "org.elasticsearch"),
    ("elasticsearch", "org.elasticsearch"),
    ("opensearch-*", "org.opensearch"),
    ("opensearch", "org.opensearch"),
    ("bcprov-*", "org.bouncycastle"),
    ("bcpkix-*", "org.bouncycastle"),
    ("bcpg-*", "org.bouncycastle"),
    ("bcutil-*", "org.bouncycastle"),
    ("bcmail-*", "org.bouncycastle"),
    ("bctls-*", "org.bouncycastle"),
    ("bcjmail-*", "org.bouncycastle"),
    ("bc-fips", "org.bouncycastle"),
    ("kotlin-*", "org.jetbrains.kotlin"),
    ("kotlinx-*", "org.jetbrains.kotlinx"),
    ("scala-library", "org.scala-lang"),
    ("scala-reflect", "org.scala-lang"),
    ("scala-compiler", "org.scala-lang"),
    ("akka-http*", "com.typesafe.akka"),
    ("akka-*", "com.typesafe.akka"),
    ("okhttp", "com.squareup.okhttp3"),
    ("okhttp-*", "com.squareup.okhttp3"),
    ("okio*", "com.squareup.okio"),
    ("retrofit", "com.squareup.retrofit2"),
    ("grpc-*", "io.grpc"),
    ("perfmark-api", "io.perfmark"),
    ("opencensus-*", "io.opencensus"),
    ("opentelemetry-*", "io.opentelemetry"),
    ("micronaut-*", "io.micronaut"),
    ("ktor-*", "io.ktor"),
    ("asm", "org.ow2.asm"),
    ("asm-analysis", "org.ow2.asm"),
    ("asm-commons", "org.ow2.asm"),
    ("asm-tree", "org.ow2.asm"),
    ("asm-util", "org.ow2.asm"),
    ("aspectjrt", "org.aspectj"),
    ("aspectjweaver", "org.aspectj"),
    ("hibernate-core*", "org.hibernate"),
    ("hibernate-entitymanager", "org.hibernate"),
    ("hamcrest*", "org.hamcrest"),
    ("mockito-*", "org.mockito"),
    ("objenesis", "org.objenesis"),
    ("lombok", "org.projectlombok"),
    ("testng", "org.testng"),
    ("mysql-connector-java", "mysql"),
    ("mysql-connector-j", "com.mysql"),
    ("postgresql", "org.postgresql"),
    ("ojdbc*", "com.oracle.database.jdbc"),
    ("mssql-jdbc", "com.microsoft.sqlserver"),
    ("hsqldb", "org.hsqldb"),
    ("xercesImpl", "xerces"),
    ("serializer", "xalan"),
    ("c3p0", "com.mchange"),
    ("mchange-commons-java", "com.mchange"),
    ("jna", "net.java.dev.jna"),
    ("jna-platform", "net.java.dev.jna"),
    ("eureka-client*", "com.netflix.eureka"),
    ("activation", "javax.activation"),
    ("ecj", "org.eclipse.jdt"),
];

/// The group of a well-known artifact.
pub(super) fn known(artifact: &str) -> Option<&'static str> {
    let fits = |pattern: &str| match pattern.strip_suffix('*') {
        Some(start) => artifact.starts_with(start),
        None => artifact == pattern,
    };
    GROUPS.iter().find(|(pattern, _)| fits(pattern)).map(|(_, group)| *group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_fits_counts() {
        let check = |artifact: &str, expected: Option<&str>| assert_eq!(known(artifact), expected, "{artifact}");
        check("spring-boot-starter-web", Some("org.springframework.boot"));
        check("spring-webmvc", Some("org.springframework"));
        check("tomcat-embed-core", Some("org.apache.tomcat.embed"));
        check("tomcat-jdbc", Some("org.apache.tomcat"));
        check("bcprov-jdk18on", Some("org.bouncycastle"));
        check("asm-extra", None);
        check("my-service", None);
    }
}
